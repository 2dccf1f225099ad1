import type { IntegerCodes } from '../format/program.ts';
import { dyadic, type Dyadic } from '../kernels/dyadic.ts';
import type {
  AddOperation,
  GatherRowsOperation,
  LinearOperation,
  MatmulOperation,
  MatrixView,
  TokensOperation,
  Unit,
} from '../model/graph.ts';
import { RANGE_MARGIN, stepFor } from '../quantize/nonlinear.ts';
import { steps } from '../quantize/quantizer.ts';
import type { Step } from './dataflow.ts';
import { ExportError, forLayer } from './errors.ts';
import { codesOf, groupValue, windowed, type ProgramDraft } from './programDraft.ts';
import { addShortcut } from './gathers.ts';
import { geluFormOf } from './gelu.ts';

/** Where the integers of a linear layer go: tensors from their first output feature on, and what is added to them. */
export interface LinearTarget {
  readonly outputs: readonly { readonly tensor: string; readonly first: number }[];
  /** Of the rescale. */
  readonly form: 8 | 'int16';
  /** Factor of the addition that the layer ends in. */
  readonly factor: number;
  readonly residual: ({ readonly tensor: string } & Dyadic) | null;
}

const INT8: IntegerCodes = { kind: 'uniform', bits: 8, shift: 0 };

/** What follows a linear layer decides what it writes; the tensors are added to the draft. */
export function linearTarget(draft: ProgramDraft, unit: Unit, operation: LinearOperation): LinearTarget {
  const { name, rows, outFeatures: columns } = operation;
  const output = draft.flow.name(unit, operation.output);
  const readers = draft.flow.readers(output);
  if (readers.length > 0 && readers.every((step) => step.operation.kind === 'matmul')) {
    return { outputs: splitHeads(draft, output, operation, readers), form: 8, factor: 1, residual: null };
  }
  const whole = (form: 8 | 'int16'): LinearTarget => {
    return { outputs: [{ tensor: output, first: 0 }], form, factor: 1, residual: null };
  };
  const isStream = ({ operation: { kind } }: Step) => kind === 'add' || kind === 'layerNorm' || kind === 'gatherRows';
  if (readers.length > 1 && readers.every(isStream)) {
    draft.addInt16(output, rows, columns);
    return whole('int16');
  }
  const reader = readers.length === 0 ? undefined : draft.reader(output);
  switch (reader?.operation.kind) {
    case undefined: // the logits
      draft.addInt16(output, rows, columns);
      return whole('int16');
    case 'tokens':
      draft.addInt16(output, rows, columns, tokensStep(draft, reader.unit, reader.operation));
      return whole('int16');
    case 'linear':
      draft.addCodes(output, rows, columns, draft.layer(reader.operation.name).a);
      return whole(8);
    case 'gelu': {
      const { inputBits, scale } = geluFormOf(draft, reader.unit, reader.operation);
      if (inputBits === 16) draft.addInt16(output, rows, columns, scale);
      else draft.add(output, { layout: 'left', heads: 1, rows, columns, scales: [scale], codes: INT8 });
      return whole(inputBits === 16 ? 'int16' : 8);
    }
    case 'add':
      return fuseAddition(draft, reader as Step<AddOperation>, output, operation) ?? whole('int16');
    case 'gatherRows': {
      const gathered = draft.flow.name(reader.unit, reader.operation.output);
      const [next, ...others] = draft.flow.readers(gathered);
      if (next?.operation.kind === 'add' && others.length === 0) {
        const windows = { windows: output, operation: reader.operation };
        return fuseAddition(draft, next as Step<AddOperation>, gathered, operation, windows) ?? whole('int16');
      }
      draft.addInt16(output, rows, columns);
      return whole('int16');
    }
    case 'layerNorm':
    case 'meanRows':
      draft.addInt16(output, rows, columns);
      return whole('int16');
    default:
      throw new ExportError(`${name}: a linear layer before ${reader?.operation.kind} has no integer form`);
  }
}

/** Step of the int16 token stream: patches and tokens share it. */
export function tokensStep(draft: ProgramDraft, unit: Unit, { input, output }: TokensOperation): number {
  const ranges = [input, output].map((tensor) => draft.range(draft.flow.name(unit, tensor)));
  return stepFor(RANGE_MARGIN * Math.max(...ranges), 16);
}

/**
 * An addition as the epilogue of the linear layer that makes its operand `own`, or the windows that are gathered into it. The other
 * operand, when a linear layer makes it too and has not yet, gets this one later: undefined.
 */
function fuseAddition(
  draft: ProgramDraft,
  { unit, operation: { scale, ...addition } }: Step<AddOperation>,
  own: string,
  shape: Pick<LinearOperation, 'rows' | 'outFeatures'>,
  gathered?: { readonly windows: string; readonly operation: GatherRowsOperation },
): LinearTarget | undefined {
  const { rows, outFeatures: columns } = shape;
  const [a, b] = [draft.flow.name(unit, addition.a), draft.flow.name(unit, addition.b)];
  const other = own === a ? b : a;
  if (!draft.has(other)) {
    draft.addInt16(gathered?.windows ?? own, rows, columns, stepFor(RANGE_MARGIN * draft.range(own), 16));
    return undefined;
  }
  const output = draft.flow.name(unit, addition.output);
  // Neither operand nor sum may saturate where the calibration images lead.
  const range = Math.max(draft.range(output), scale * draft.range(a), scale * draft.range(b));
  const step = stepFor(RANGE_MARGIN * range, 16);
  const tensor = gathered?.windows ?? output;
  draft.addInt16(tensor, rows, columns, step);
  draft.fused.add(output);
  const ratio = ((draft.tensor(other).scales[0] as number) * scale) / step;
  const term = forLayer(output, () => dyadic(ratio, 'term'));
  if (gathered) draft.sums.set(own, output);
  const residual = gathered ? addShortcut(draft, other, gathered.operation, tensor) : other;
  return { outputs: [{ tensor, first: 0 }], form: 'int16', factor: scale, residual: { tensor: residual, ...term } };
}

/** Parts of an output that products read as operands, in the order of their features. */
function splitHeads(
  draft: ProgramDraft,
  output: string,
  { name, rows, outFeatures }: LinearOperation,
  readers: readonly Step[],
): LinearTarget['outputs'] {
  const parts: { tensor: string; first: number; features: number }[] = [];
  for (const { unit, operation } of readers) {
    const product = operation as MatmulOperation;
    const layer = draft.layer(product.name);
    for (const side of ['a', 'b'] as const) {
      const view = product[side];
      if (draft.flow.name(unit, view.tensor) !== output) continue;
      const part = operandLayout(product, side, view, outFeatures);
      if (!part || part.rows * product.windows !== rows)
        throw new ExportError(`${product.name} reads ${name} in a way without integer form`);
      const tensor = `${product.name}.${side}`;
      const scales = Array.from({ length: part.heads }, (_, i) => groupValue(steps(layer[side]), i, part.heads));
      draft.add(tensor, { ...windowed(product.windows), ...part, scales, codes: codesOf(layer[side]) });
      parts.push({ tensor, first: view.offset, features: part.heads * part.columns });
    }
  }
  parts.sort((x, y) => x.first - y.first);
  const gap = parts.findIndex(({ first }, i) => {
    return first !== parts.slice(0, i).reduce((covered, { features }) => covered + features, 0);
  });
  const covered = parts.reduce((sum, { features }) => sum + features, 0);
  if (gap >= 0 || covered !== outFeatures) {
    throw new ExportError(
      `${name}: products must read each of its ${outFeatures} outputs exactly once, in whole parts`,
    );
  }
  return parts.map(({ tensor, first }) => ({ tensor, first }));
}

/** How the operand of a product lies inside rows of `features`; undefined unless its heads are side by side. */
export function operandLayout(product: MatmulOperation, side: 'a' | 'b', view: MatrixView, features: number) {
  const { heads, rows, depth, columns } = product;
  const { headStride, rowStride, columnStride } = view;
  if (side === 'a') {
    const fits = columnStride === 1 && rowStride === features && headStride === depth;
    return fits ? ({ layout: 'left', heads, rows, columns: depth } as const) : undefined;
  }
  if (columnStride === 1 && rowStride === features && headStride === columns) {
    return { layout: 'right', heads, rows: depth, columns } as const;
  }
  if (rowStride === 1 && columnStride === features && headStride === depth) {
    return { layout: 'right-transposed', heads, rows: columns, columns: depth } as const;
  }
  return undefined;
}
