import { nonlinearCodes } from '../format/codes.ts';
import {
  windowsOf,
  type AttentionBiasOperation,
  type GatherRowsOperation,
  type GeluOperation,
  type IntegerCodes,
  type IntegerOperation,
  type LayerNormOperation,
  type MeanRowsOperation,
  type PatchesOperation,
  type SoftmaxOperation,
  type TokensOperation,
} from '../format/program.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { assembleTokensI16 } from '../kernels/assembleTokensI16.ts';
import { attentionBiasI32 } from '../kernels/attentionBiasI32.ts';
import { codeWords } from '../kernels/codes.ts';
import { fillWords, gatherWords } from '../kernels/gatherWords.ts';
import { int16Words } from '../kernels/int16.ts';
import { intGelu } from '../kernels/intGelu.ts';
import { intLayerNorm } from '../kernels/intLayerNorm.ts';
import { intSoftmax } from '../kernels/intSoftmax.ts';
import { meanRowsI16 } from '../kernels/meanRowsI16.ts';
import { patchCodes } from '../kernels/patchCodes.ts';
import { denseOutput } from '../kernels/requantizedLayout.ts';
import { shiftGelu } from '../kernels/shiftGelu.ts';
import { codeBounds, codesOf, runsInFloat, type FloatKind, type StepContext } from './context.ts';
import { floatGelu, floatLayerNorm, floatSoftmax } from './floatSteps.ts';
import { linearStep, productStep } from './products.ts';

/** Prepares the dispatches of `operation`, in order: integer kernels alone unless it runs in float. */
export function prepareStep(
  context: StepContext,
  operation: IntegerOperation,
  float: ReadonlySet<FloatKind>,
): Promise<Dispatch[]> {
  const inFloat = runsInFloat(operation, float, context.model.program.tensors);
  switch (operation.kind) {
    case 'patches':
      return patchesStep(context, operation);
    case 'linear':
      return linearStep(context, operation);
    case 'product':
      return productStep(context, operation);
    case 'tokens':
      return tokensStep(context, operation);
    case 'layerNorm':
      return (inFloat ? floatLayerNorm : layerNormStep)(context, operation);
    case 'softmax':
      return (inFloat ? floatSoftmax : softmaxStep)(context, operation);
    case 'gelu':
      return (inFloat ? floatGelu : geluStep)(context, operation);
    case 'gatherRows':
      return gatherStep(context, operation);
    case 'attentionBias':
      return biasStep(context, operation);
    case 'meanRows':
      return meanStep(context, operation);
  }
}

async function patchesStep(context: StepContext, { input, output, patchSize }: PatchesOperation): Promise<Dispatch[]> {
  const { device, images } = context;
  const { rows: height, columns: width } = context.tensor(input);
  const buffers = { pixels: context.activation(input), codes: context.activation(output) };
  return [await patchCodes(device, buffers, { images, height, width, patchSize })];
}

async function tokensStep(context: StepContext, operation: TokensOperation): Promise<Dispatch[]> {
  const { name, input, output, prefixRows } = operation;
  const { rows, columns: features } = context.tensor(input);
  const buffers = {
    x: context.activation(input),
    tokens: context.parameter(`${name}.tokens`),
    y: context.activation(output),
  };
  return [await assembleTokensI16(context.device, buffers, { images: context.images, rows, prefixRows, features })];
}

async function layerNormStep(context: StepContext, operation: LayerNormOperation): Promise<Dispatch[]> {
  const { name, input, output, row, form, epsilon } = operation;
  const { rows, columns } = context.tensor(input);
  const target = context.tensor(output);
  const words = int16Words(columns);
  const buffers = {
    x: context.activation(input),
    gain: context.parameter(`${name}.gain`),
    bias: context.parameter(`${name}.bias`),
    y: context.activation(output),
  };
  const { layout, heads, columns: features } = target;
  if (layout === 'int16') {
    const shape = { rows: context.images * rows, features, form, epsilon, output: layout } as const;
    return [await intLayerNorm(context.device, buffers, shape)];
  }
  const bounds = codeBounds(codesOf(target, output));
  if (row !== null) {
    const rowsRead = { rows: context.images, xOffset: row * words, xRowStride: rows * words };
    return [await intLayerNorm(context.device, buffers, { ...rowsRead, features, form, epsilon, ...bounds })];
  }
  if (layout === 'pixels' || layout === 'int32') throw new Error(`no LayerNorm writes ${layout}`);
  const { view } = denseOutput(layout, target);
  const shape = { rows: context.images * rows * heads, heads, tokens: rows, view };
  return [await intLayerNorm(context.device, buffers, { ...shape, features, form, epsilon, ...bounds })];
}

/** Rows side by side are rows of the input's width. */
async function gatherStep(context: StepContext, operation: GatherRowsOperation): Promise<Dispatch[]> {
  const { name, input, output, indices, fill } = operation;
  const { layout, rows: sourceRows, columns } = context.tensor(input);
  const words = layout === 'int16' ? int16Words(columns) : codeWords(columns);
  const shape = { images: context.images, sourceRows, rows: indices.length, words, ...fillWords(fill, columns) };
  const buffers = {
    source: context.activation(input),
    indices: context.parameter(`${name}.index`),
    y: context.activation(output),
  };
  return [await gatherWords(context.device, buffers, shape)];
}

async function biasStep(context: StepContext, operation: AttentionBiasOperation): Promise<Dispatch[]> {
  const { name, input, output, entries, regions } = operation;
  const tensor = context.tensor(input);
  const { heads, rows: tokens } = tensor;
  const buffers = {
    scores: context.activation(input),
    index: context.parameter(`${name}.index`),
    values: context.parameter(`${name}.values`),
    regions: regions && context.parameter(`${name}.regions`),
    y: context.activation(output),
  };
  const shape = { images: context.images, windows: windowsOf(tensor), heads, tokens, entries };
  return [await attentionBiasI32(context.device, buffers, shape)];
}

async function meanStep(context: StepContext, operation: MeanRowsOperation): Promise<Dispatch[]> {
  const { input, output, first, bias, rescale } = operation;
  const { rows, columns: features } = context.tensor(input);
  const { codes } = context.tensor(output);
  const shape = { images: context.images, rows, features, first, bias, ...rescale };
  const written = codes ? ({ output: 'codes', ...codeBounds(codes) } as const) : ({ output: 'int16' } as const);
  const buffers = { x: context.activation(input), y: context.activation(output) };
  return [await meanRowsI16(context.device, buffers, { ...shape, ...written })];
}

async function softmaxStep(context: StepContext, operation: SoftmaxOperation): Promise<Dispatch[]> {
  const { name, input, output, logitBits, constants } = operation;
  const { heads, rows, columns } = context.tensor(input);
  const target = codesOf(context.tensor(output), output);
  const { bits, shift, boundary = 'nearest' } = target;
  const buffers = {
    accumulators: context.activation(input),
    rescales: context.parameter(`${name}.rescale`),
    table: tableOf(context, name, constants, target),
    codes: context.activation(output),
  };
  const windows = windowsOf(context.tensor(input));
  const shape = { rows: context.images * windows * heads * rows, columns, rowsPerHead: rows, heads };
  const codes = nonlinearCodes(target);
  return [await intSoftmax(context.device, buffers, { ...shape, logitBits, bits, shift, boundary, codes, constants })];
}

async function geluStep(context: StepContext, { name, input, output, constants }: GeluOperation): Promise<Dispatch[]> {
  const { device, images } = context;
  const { layout, heads, rows, columns } = context.tensor(input);
  const target = codesOf(context.tensor(output), output);
  const { bits, shift } = target;
  const inputBits = layout === 'int16' ? 16 : 8;
  const shape = {
    rows: images * heads * rows,
    columns,
    inputBits,
    bits,
    shift,
    codes: nonlinearCodes(target),
  } as const;
  const table = tableOf(context, name, constants, target);
  const buffers = { source: context.activation(input), table, codes: context.activation(output) };
  if (constants.method === 'shift') return [await shiftGelu(device, buffers, { ...shape, constants })];
  return [await intGelu(device, buffers, { ...shape, constants })];
}

/** The table of `modelParameters`, where there is one. */
function tableOf(context: StepContext, name: string, constants: object, { levels }: IntegerCodes): GPUBuffer | null {
  return levels || 'table' in constants ? context.parameter(`${name}.table`) : null;
}
