import type { GeluOperation, LinearOperation, Unit } from '../model/graph.ts';
import { geluForm, integersOf, isGeluQuantizer, type GeluForm, type GeluQuantizer } from '../quantize/nonlinear.ts';
import { ExportError, forLayer } from './errors.ts';
import { methodOf } from './nonlinear.ts';
import type { ProgramDraft } from './programDraft.ts';

/** Input and constants of a GELU, which the linear layer before it needs too. */
export function geluFormOf(draft: ProgramDraft, unit: Unit, operation: GeluOperation): GeluForm {
  const quantizer = geluQuantizer(draft, unit, operation);
  const method = methodOf(draft.recipe.integer, 'gelu', operation.name, draft.nonlinear);
  const range = draft.range(draft.flow.name(unit, operation.input));
  return forLayer(operation.name, () => geluForm(method, range, quantizer));
}

export function geluQuantizer(draft: ProgramDraft, unit: Unit, { name, output }: GeluOperation): GeluQuantizer {
  const reader = draft.reader(draft.flow.name(unit, output)).operation as LinearOperation;
  const quantizer = draft.layer(reader.name).a;
  if (isGeluQuantizer(quantizer)) return integersOf(quantizer);
  throw new ExportError(`${name}: integer inference has no ${quantizer.type} codes of ${reader.name} after GELU`);
}
