import { layerNormConstants } from '../kernels/layerNormConstants.ts';
import type { LayerNormOperation, LinearOperation, MatmulOperation, Unit } from '../model/graph.ts';
import { layerNormForm } from '../quantize/nonlinear.ts';
import { steps, type ActivationQuantizer } from '../quantize/quantizer.ts';
import { ExportError, forLayer } from './errors.ts';
import { operandLayout, tokensStep } from './linearTarget.ts';
import { methodOf } from './nonlinear.ts';
import { codesOf, groupValue, type ProgramDraft } from './programDraft.ts';
import type { QuantizedWeights } from './weights.ts';

/**
 * A LayerNorm into what reads it: codes of linear layers, once for each quantizer among them, heads of a product of attention, or
 * 16-bit integers of the residual stream and of a mean.
 */
export function addLayerNorm(
  draft: ProgramDraft,
  weights: QuantizedWeights,
  unit: Unit,
  operation: LayerNormOperation,
): void {
  const { rows, features } = operation;
  const output = draft.flow.name(unit, operation.output);
  // One norm may serve two tokens.
  const name = draft.norms.has(operation.name) ? output : operation.name;
  const readers = draft.flow.readers(output);
  const linear = readers.map((step) => linearBehind(draft, step.unit, step.operation));
  if (linear.length > 0 && linear.every((reader) => reader !== undefined)) {
    const written = new Map<string, string>();
    for (const reader of linear) {
      const { a } = draft.layer(reader.name);
      const key = JSON.stringify(a);
      const suffix = written.size === 0 ? '' : `.${written.size}`;
      const known = written.get(key);
      const tensor = known ?? `${output}${suffix}`;
      if (tensor !== output) draft.inputs.set(reader.name, tensor);
      if (known !== undefined) continue;
      written.set(key, tensor);
      draft.addCodes(tensor, rows, features, a);
      addNorm(draft, weights, unit, operation, { name: `${name}${suffix}`, output: tensor });
    }
    return;
  }
  const [first, ...others] = readers;
  if (first?.operation.kind === 'matmul' && others.length === 0) {
    const product = first.operation;
    const side = draft.flow.name(first.unit, product.a.tensor) === output ? 'a' : 'b';
    addNorm(draft, weights, unit, operation, { name, output: addHeads(draft, operation, product, side) });
    return;
  }
  const tokens = others.length === 0 && first?.operation.kind === 'tokens' ? first.operation : undefined;
  draft.addInt16(output, rows, features, tokens && first && tokensStep(draft, first.unit, tokens));
  addNorm(draft, weights, unit, operation, { name, output });
}

/** The linear layer that reads a tensor by `operation`, itself or the rows that it gathers. */
function linearBehind(
  draft: ProgramDraft,
  unit: Unit,
  operation: { readonly kind: string },
): LinearOperation | undefined {
  const { kind, output } = operation as LinearOperation;
  if (kind === 'linear') return operation as LinearOperation;
  if ((kind as string) !== 'gatherRows') return undefined;
  const step = draft.reader(draft.flow.name(unit, output));
  return linearBehind(draft, step.unit, step.operation);
}

/** The operand of a product that heads normalised one by one make, `[heads][tokens][features]`. */
function addHeads(
  draft: ProgramDraft,
  { name, rows, features }: LayerNormOperation,
  product: MatmulOperation,
  side: 'a' | 'b',
): string {
  const layer = draft.layer(product.name);
  const width = (rows * features) / (side === 'a' ? product.rows : product.columns);
  const part = operandLayout(product, side, product[side], width);
  if (!part || product.windows !== 1 || part.heads * part.rows !== rows || product[side].offset !== 0) {
    throw new ExportError(`${product.name} reads ${name} in a way without integer form`);
  }
  const quantizer: ActivationQuantizer = layer[side];
  const scales = Array.from({ length: part.heads }, (_, i) => groupValue(steps(quantizer), i, part.heads));
  const tensor = `${product.name}.${side}`;
  draft.add(tensor, { ...part, scales, codes: codesOf(quantizer) });
  return tensor;
}

function addNorm(
  draft: ProgramDraft,
  weights: QuantizedWeights,
  unit: Unit,
  operation: LayerNormOperation,
  { name, output }: { readonly name: string; readonly output: string },
): void {
  const { features, epsilon: floatEpsilon } = operation;
  const source = draft.flow.name(unit, operation.input);
  const { tensor: input, row } = draft.selected.get(source) ?? { tensor: source, row: null };
  const { layout, heads, scales } = draft.tensor(output);
  const { integer } = draft.recipe;
  const measured = layout !== 'int16' || integer.nonlinear.some((entry) => entry.name === operation.name);
  // What 16 bits hold is not measured: the fixed form is the exact one.
  const method = measured ? methodOf(integer, 'layerNorm', operation.name, draft.nonlinear) : 'shift-fixed';
  const gamma = weights.float(`${operation.name}.weight`, features);
  const beta = weights.float(`${operation.name}.bias`, features).map((value) => value + draft.offset(output));
  const constants = Array.from({ length: heads }, (_, head) =>
    forLayer(name, () =>
      layerNormConstants(layerNormForm(method), {
        gamma,
        beta,
        epsilon: floatEpsilon,
        xScale: draft.tensor(input).scales[0] as number,
        yScale: groupValue(scales, head, heads),
      }),
    ),
  );
  const gain = constants.flatMap((head) => Array.from(head.gain));
  draft.norms.set(name, {
    multipliers: Int32Array.from(gain.filter((_, i) => i % 2 === 0)),
    shifts: Uint8Array.from(gain.filter((_, i) => i % 2 === 1)),
    bias: Int32Array.from(constants.flatMap((head) => Array.from(head.bias))),
  });
  const { form, epsilon } = constants[0] as (typeof constants)[number];
  draft.operations.push({ kind: 'layerNorm', name, input, output, row, form, epsilon, floatEpsilon });
}
