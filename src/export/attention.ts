import { dyadic } from '../kernels/dyadic.ts';
import type { AttentionBiasOperation, MatmulOperation, SoftmaxOperation, Unit } from '../model/graph.ts';
import { isSoftmaxQuantizer, probabilityRescales, softmaxForm } from '../quantize/nonlinear.ts';
import { steps } from '../quantize/quantizer.ts';
import { ExportError, forLayer } from './errors.ts';
import { methodOf } from './nonlinear.ts';
import { codesOf, groupValue, windowed, type ProgramDraft } from './programDraft.ts';
import type { QuantizedWeights } from './weights.ts';

/** A product of two activations: scores as they are, others as the codes of the linear layer that reads them. */
export function addProduct(draft: ProgramDraft, unit: Unit, operation: MatmulOperation): void {
  const { name, windows, heads, rows, columns } = operation;
  const output = draft.flow.name(unit, operation.output.tensor);
  const a = operation.operand === 'post-softmax' ? draft.flow.name(unit, operation.a.tensor) : `${name}.a`;
  const b = `${name}.b`;
  const [left, right] = [draft.tensor(a).scales, draft.tensor(b).scales];
  const units = Array.from({ length: heads }, (_, i) => groupValue(left, i, heads) * groupValue(right, i, heads));
  const reader = draft.reader(output).operation;
  if (reader.kind === 'softmax' || reader.kind === 'attentionBias') {
    draft.add(output, { layout: 'int32', ...windowed(windows), heads, rows, columns, scales: units });
    draft.operations.push({ kind: 'product', name, a, b, output, bias: null, rescales: null });
    return;
  }
  if (reader.kind !== 'linear') throw new ExportError(`${name}: a product before ${reader.kind} has no integer form`);
  if (columns % 4 !== 0) {
    throw new ExportError(`${name}: heads of ${columns} features cannot be packed side by side; use a multiple of 4`);
  }
  draft.addCodes(output, rows, heads * columns, draft.layer(reader.name).a, windows);
  const step = draft.tensor(output).scales[0] as number;
  const rescales = forLayer(name, () => units.map((size) => dyadic(size / step, 8)));
  const offset = draft.offset(output);
  const bias = offset === 0 ? null : units.map((size) => Math.round(offset / size));
  draft.operations.push({ kind: 'product', name, a, b, output, bias, rescales });
}

/** Scores as codes of probabilities. */
export function addSoftmax(draft: ProgramDraft, unit: Unit, operation: SoftmaxOperation): void {
  const { name, columns } = operation;
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const factor = operation.scale * (draft.factors.get(input) ?? 1);
  const { windows = 1, heads, rows, scales } = draft.tensor(input);
  const { name: reader } = draft.reader(output).operation as MatmulOperation;
  const quantizer = draft.layer(reader).a;
  if (!isSoftmaxQuantizer(quantizer)) {
    throw new ExportError(`${name}: integer inference has no ${quantizer.type} codes of ${reader} after softmax`);
  }
  const method = methodOf(draft.recipe.integer, 'softmax', name, draft.nonlinear);
  const { logitBits, scale, constants } = forLayer(name, () => softmaxForm(method, draft.range(input), columns));
  const shape = { layout: 'left', ...windowed(windows), heads, rows, columns } as const;
  draft.add(output, { ...shape, scales: steps(quantizer), codes: codesOf(quantizer) });
  const ratios = Array.from({ length: heads }, (_, head) => (groupValue(scales, head, heads) * factor) / scale);
  const rescales = forLayer(name, () => ratios.map((ratio) => dyadic(ratio, 'int16')));
  const codeRescales = forLayer(name, () => probabilityRescales(quantizer, heads));
  draft.operations.push({ kind: 'softmax', name, input, output, factor, logitBits, rescales, codeRescales, constants });
}

/**
 * Relative position bias and mask as integers of the scores' own units, so that only halves of a unit are lost. A score that is
 * masked has probability 0, where the network subtracts 100: no more than e^-100 of the sum for each, times e to the power of how
 * far the largest masked logit lies above the largest other.
 */
export function addAttentionBias(
  draft: ProgramDraft,
  weights: QuantizedWeights,
  unit: Unit,
  operation: AttentionBiasOperation,
): void {
  const { name, scale, table, heads, index, mask } = operation;
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const tensor = draft.tensor(input);
  const pairs = Uint32Array.from(index);
  const entries = 1 + pairs.reduce((most, entry) => Math.max(most, entry), 0);
  const real = weights.float(table, entries * heads);
  const values = Int32Array.from({ length: heads * entries }, (_, i) => {
    const [head, entry] = [Math.floor(i / entries), i % entries];
    const value = Math.round((real[entry * heads + head] as number) / (scale * groupValue(tensor.scales, head, heads)));
    if (Math.abs(value) < 2 ** 31) return value;
    throw new ExportError(`${name}: bias ${entry} of head ${head} is ${value} units of its scores, past 2^31`);
  });
  draft.add(output, tensor);
  draft.factors.set(output, scale);
  draft.biases.set(name, { values });
  const regions = mask && Uint32Array.from(mask);
  draft.operations.push({ kind: 'attentionBias', name, input, output, entries, index: pairs, regions });
}
