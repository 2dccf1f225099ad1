import type { Recipe } from '../calibrate/recipe.ts';
import { dyadic } from '../kernels/dyadic.ts';
import { layerNormConstants } from '../kernels/layerNormConstants.ts';
import type {
  GeluOperation,
  LayerNormOperation,
  LinearOperation,
  MatmulOperation,
  Network,
  SoftmaxOperation,
  TokensOperation,
  Unit,
} from '../model/graph.ts';
import { isSoftmaxQuantizer, layerNormForm, probabilityRescales, softmaxForm } from '../quantize/nonlinear.ts';
import { steps } from '../quantize/quantizer.ts';
import type { Step } from './dataflow.ts';
import { ExportError, forLayer } from './errors.ts';
import { integerLinear } from './integerLinear.ts';
import { linearTarget, tokensStep } from './linearTarget.ts';
import { geluFormOf, geluQuantizer } from './gelu.ts';
import { methodOf, type NonlinearChoice } from './nonlinear.ts';
import { codesOf, groupValue, ProgramDraft, type ProgramParts } from './programDraft.ts';
import type { QuantizedWeights } from './weights.ts';

export interface InputImage {
  readonly height: number;
  readonly width: number;
  readonly patchSize: number;
}

/** The integer program of a network under a recipe, operation by operation, with its parameters. */
export function buildProgram(
  network: Network,
  image: InputImage,
  recipe: Recipe,
  weights: QuantizedWeights,
  nonlinear: NonlinearChoice,
): ProgramParts {
  const draft = new ProgramDraft(network, recipe, nonlinear);
  const [first, last] = [network.units[0] as Unit, network.units.at(-1) as Unit];
  const input = addPatches(draft, image, draft.flow.name(first, first.input));
  for (const step of draft.flow.steps) addStep(draft, weights, step);
  return draft.parts(input, draft.flow.name(last, last.output));
}

function addPatches(draft: ProgramDraft, { height, width, patchSize }: InputImage, patches: string): string {
  const input = 'pixels';
  const { rows, inFeatures } = draft.reader(patches).operation as LinearOperation;
  draft.add(input, { layout: 'pixels', heads: 1, rows: height, columns: width, scales: [1] });
  draft.addCodes(patches, rows, inFeatures, { type: 'pixels', bits: 8 });
  draft.operations.push({ kind: 'patches', name: patches, input, output: patches, patchSize });
  return input;
}

function addStep(draft: ProgramDraft, weights: QuantizedWeights, { unit, operation }: Step): void {
  switch (operation.kind) {
    case 'linear':
      return addLinear(draft, weights, unit, operation);
    case 'matmul':
      return addProduct(draft, unit, operation);
    case 'layerNorm':
      return addLayerNorm(draft, weights, unit, operation);
    case 'softmax':
      return addSoftmax(draft, unit, operation);
    case 'gelu':
      return addGelu(draft, unit, operation);
    case 'tokens':
      return addTokens(draft, weights, unit, operation);
    case 'gatherRows': {
      const [row] = operation.indices;
      const output = draft.flow.name(unit, operation.output);
      if (row === undefined || operation.indices.length > 1 || row < 0) {
        throw new ExportError(`${output}: integer inference picks single rows only`);
      }
      draft.selected.set(output, { tensor: draft.flow.name(unit, operation.input), row });
      return;
    }
    case 'attentionBias':
    case 'meanRows':
      throw new ExportError(`${unit.name}.${operation.output}: ${operation.kind} has no integer form`);
    case 'add': {
      const output = draft.flow.name(unit, operation.output);
      if (draft.fused.has(output)) return;
      throw new ExportError(`${output}: integer inference adds only what a linear layer has just written`);
    }
  }
}

function addLinear(draft: ProgramDraft, weights: QuantizedWeights, unit: Unit, operation: LinearOperation): void {
  const { name, outFeatures, inFeatures } = operation;
  const { b } = draft.layer(name);
  const input = draft.flow.name(unit, operation.input);
  const { codes, scales } = draft.tensor(input);
  if (!codes) throw new ExportError(`${name}: its input ${input} has no codes`);
  const { outputs, form, factor, residual } = linearTarget(draft, unit, operation);
  const outputSteps = outputs.flatMap(({ tensor }) => {
    const { heads, columns, scales } = draft.tensor(tensor);
    return Array.from({ length: heads * columns }, (_, i) => groupValue(scales, i, heads * columns));
  });
  const offsets = outputs.flatMap(({ tensor }) => {
    const { heads, columns } = draft.tensor(tensor);
    return new Array<number>(heads * columns).fill(draft.offset(tensor));
  });
  const parameters = forLayer(name, () =>
    integerLinear({
      codes: weights.codes(name, outFeatures * inFeatures),
      scales: Array.from({ length: outFeatures }, (_, i) => factor * groupValue(b.scales, i, outFeatures)),
      bias: biasOf(weights.bias(name, outFeatures), factor, offsets),
      inFeatures,
      input: codes,
      inputStep: scales[0] as number,
      inputZero: draft.zeroPoints.get(input) ?? 0,
      outputSteps,
      form,
    }),
  );
  draft.linear.set(name, parameters);
  draft.operations.push({
    ...{ kind: 'linear', name, input, inFeatures, outFeatures, weightBits: b.bits, outputs, residual },
  });
}

/** `factor` times a bias plus the offsets of the outputs; null when nothing is added. */
function biasOf(bias: Float32Array | null, factor: number, offsets: readonly number[]): Float64Array | null {
  if (!bias && offsets.every((offset) => offset === 0)) return null;
  return Float64Array.from(offsets, (offset, i) => factor * (bias?.[i] ?? 0) + offset);
}

function addProduct(draft: ProgramDraft, unit: Unit, operation: MatmulOperation): void {
  const { name, heads, rows, columns } = operation;
  const output = draft.flow.name(unit, operation.output.tensor);
  const a = operation.operand === 'post-softmax' ? draft.flow.name(unit, operation.a.tensor) : `${name}.a`;
  const b = `${name}.b`;
  const [left, right] = [draft.tensor(a).scales, draft.tensor(b).scales];
  const units = Array.from({ length: heads }, (_, i) => groupValue(left, i, heads) * groupValue(right, i, heads));
  const reader = draft.reader(output).operation;
  if (reader.kind === 'softmax') {
    draft.add(output, { layout: 'int32', heads, rows, columns, scales: units });
    draft.operations.push({ kind: 'product', name, a, b, output, bias: null, rescales: null });
    return;
  }
  if (reader.kind !== 'linear') throw new ExportError(`${name}: a product before ${reader.kind} has no integer form`);
  if (columns % 4 !== 0) {
    throw new ExportError(`${name}: heads of ${columns} features cannot be packed side by side; use a multiple of 4`);
  }
  draft.addCodes(output, rows, heads * columns, draft.layer(reader.name).a);
  const step = draft.tensor(output).scales[0] as number;
  const rescales = forLayer(name, () => units.map((size) => dyadic(size / step, 8)));
  const offset = draft.offset(output);
  const bias = offset === 0 ? null : units.map((size) => Math.round(offset / size));
  draft.operations.push({ kind: 'product', name, a, b, output, bias, rescales });
}

function addSoftmax(draft: ProgramDraft, unit: Unit, operation: SoftmaxOperation): void {
  const { name, columns, scale: factor } = operation;
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const { heads, rows, scales } = draft.tensor(input);
  const { name: reader } = draft.reader(output).operation as MatmulOperation;
  const quantizer = draft.layer(reader).a;
  if (!isSoftmaxQuantizer(quantizer)) {
    throw new ExportError(`${name}: integer inference has no ${quantizer.type} codes of ${reader} after softmax`);
  }
  const method = methodOf(draft.recipe.integer, 'softmax', name, draft.nonlinear);
  const { logitBits, scale, constants } = forLayer(name, () => softmaxForm(method, draft.range(input), columns));
  draft.add(output, { layout: 'left', heads, rows, columns, scales: steps(quantizer), codes: codesOf(quantizer) });
  const ratios = Array.from({ length: heads }, (_, head) => (groupValue(scales, head, heads) * factor) / scale);
  const rescales = forLayer(name, () => ratios.map((ratio) => dyadic(ratio, 'int16')));
  const codeRescales = forLayer(name, () => probabilityRescales(quantizer, heads));
  draft.operations.push({ kind: 'softmax', name, input, output, factor, logitBits, rescales, codeRescales, constants });
}

function addGelu(draft: ProgramDraft, unit: Unit, operation: GeluOperation): void {
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const { rows, columns } = draft.tensor(input);
  draft.addCodes(output, rows, columns, geluQuantizer(draft, unit, operation));
  const { constants } = geluFormOf(draft, unit, operation);
  draft.operations.push({ kind: 'gelu', name: operation.name, input, output, constants });
}

function addLayerNorm(draft: ProgramDraft, weights: QuantizedWeights, unit: Unit, operation: LayerNormOperation): void {
  const { features, epsilon: floatEpsilon } = operation;
  const source = draft.flow.name(unit, operation.input);
  const { tensor: input, row } = draft.selected.get(source) ?? { tensor: source, row: null };
  const output = draft.flow.name(unit, operation.output);
  const name = draft.norms.has(operation.name) ? output : operation.name; // one norm may serve two tokens
  const reader = draft.reader(output).operation as LinearOperation;
  draft.addCodes(output, operation.rows, features, draft.layer(reader.name).a);
  const method = methodOf(draft.recipe.integer, 'layerNorm', operation.name, draft.nonlinear);
  const { form, gain, bias, epsilon } = forLayer(name, () =>
    layerNormConstants(layerNormForm(method), {
      gamma: weights.float(`${operation.name}.weight`, features),
      beta: weights.float(`${operation.name}.bias`, features).map((value) => value + draft.offset(output)),
      epsilon: floatEpsilon,
      xScale: draft.tensor(input).scales[0] as number,
      yScale: draft.tensor(output).scales[0] as number,
    }),
  );
  const multipliers = gain.filter((_, i) => i % 2 === 0);
  const shifts = Uint8Array.from(gain.filter((_, i) => i % 2 === 1));
  draft.norms.set(name, { multipliers, shifts, bias });
  draft.operations.push({ kind: 'layerNorm', name, input, output, row, form, epsilon, floatEpsilon });
}

function addTokens(draft: ProgramDraft, weights: QuantizedWeights, unit: Unit, operation: TokensOperation): void {
  const { rows, features, prefix, position } = operation;
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const step = tokensStep(draft, unit, operation);
  const total = prefix.length + rows;
  draft.addInt16(output, total, features, step);
  const values = weights.float(position, total * features).slice();
  prefix.forEach((token, i) => {
    weights.float(token, features).forEach((value, j) => {
      values[i * features + j] = (values[i * features + j] as number) + value;
    });
  });
  const integers = Int16Array.from(values, (value) => Math.max(-32768, Math.min(Math.round(value / step), 32767)));
  draft.tokens.set(position, { values: integers });
  draft.operations.push({ kind: 'tokens', name: position, input, output, prefixRows: prefix.length });
}
