import type { Recipe } from '../calibrate/recipe.ts';
import { dyadic } from '../kernels/dyadic.ts';
import type {
  GeluOperation,
  LinearOperation,
  MeanRowsOperation,
  Network,
  TokensOperation,
  Unit,
} from '../model/graph.ts';
import { addAttentionBias, addProduct, addSoftmax } from './attention.ts';
import type { Step } from './dataflow.ts';
import { ExportError, forLayer } from './errors.ts';
import { addGatherRows } from './gathers.ts';
import { geluFormOf, geluQuantizer } from './gelu.ts';
import { integerLinear, widthOf } from './integerLinear.ts';
import { addLayerNorm } from './layerNorm.ts';
import { linearTarget, tokensStep } from './linearTarget.ts';
import type { NonlinearChoice } from './nonlinear.ts';
import { groupValue, ProgramDraft, type ProgramParts } from './programDraft.ts';
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
    case 'gatherRows':
      return addGatherRows(draft, unit, operation);
    case 'attentionBias':
      return addAttentionBias(draft, weights, unit, operation);
    case 'meanRows':
      return addMeanRows(draft, unit, operation);
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
  const input = draft.inputs.get(name) ?? draft.flow.name(unit, operation.input);
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
  const weightBits = widthOf(parameters.codes, b.bits);
  draft.operations.push({ kind: 'linear', name, input, inFeatures, outFeatures, weightBits, outputs, residual });
}

/** `factor` times a bias plus the offsets of the outputs; null when nothing is added. */
function biasOf(bias: Float32Array | null, factor: number, offsets: readonly number[]): Float64Array | null {
  if (!bias && offsets.every((offset) => offset === 0)) return null;
  return Float64Array.from(offsets, (offset, i) => factor * (bias?.[i] ?? 0) + offset);
}

function addMeanRows(draft: ProgramDraft, unit: Unit, operation: MeanRowsOperation): void {
  const { first, rows, features } = operation;
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const { operation: reader } = draft.reader(output);
  if (reader.kind === 'linear') draft.addCodes(output, 1, features, draft.layer(reader.name).a);
  else draft.addInt16(output, 1, features);
  const { layout, scales } = draft.tensor(output);
  const unitOfSum = (draft.tensor(input).scales[0] as number) / (rows - first);
  const form = layout === 'int16' ? layout : 8;
  const rescale = forLayer(output, () => dyadic(unitOfSum / (scales[0] as number), form));
  const bias = Math.round(draft.offset(output) / unitOfSum);
  draft.operations.push({ kind: 'meanRows', name: output, input, output, first, bias, rescale });
}

function addGelu(draft: ProgramDraft, unit: Unit, operation: GeluOperation): void {
  const input = draft.flow.name(unit, operation.input);
  const output = draft.flow.name(unit, operation.output);
  const { rows, columns } = draft.tensor(input);
  draft.addCodes(output, rows, columns, geluQuantizer(draft, unit, operation));
  const { constants } = geluFormOf(draft, unit, operation);
  draft.operations.push({ kind: 'gelu', name: operation.name, input, output, constants });
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
