import { nonlinearCodes } from '../format/codes.ts';
import type {
  GeluOperation,
  IntegerCodes,
  IntegerOperation,
  LayerNormOperation,
  PatchesOperation,
  SoftmaxOperation,
  TokensOperation,
} from '../format/program.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { assembleTokensI16 } from '../kernels/assembleTokensI16.ts';
import { int16Words } from '../kernels/int16.ts';
import { intGelu } from '../kernels/intGelu.ts';
import { intLayerNorm } from '../kernels/intLayerNorm.ts';
import { intSoftmax } from '../kernels/intSoftmax.ts';
import { patchCodes } from '../kernels/patchCodes.ts';
import { shiftGelu } from '../kernels/shiftGelu.ts';
import { codeBounds, codesOf, type FloatKind, type StepContext } from './context.ts';
import { floatGelu, floatLayerNorm, floatSoftmax } from './floatSteps.ts';
import { linearStep, productStep } from './products.ts';

/** Prepares the dispatches of `operation`, in order: integer kernels alone unless its kind is in `float`. */
export function prepareStep(
  context: StepContext,
  operation: IntegerOperation,
  float: ReadonlySet<FloatKind>,
): Promise<Dispatch[]> {
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
      return (float.has('layerNorm') ? floatLayerNorm : layerNormStep)(context, operation);
    case 'softmax':
      return (float.has('softmax') ? floatSoftmax : softmaxStep)(context, operation);
    case 'gelu':
      return (float.has('gelu') ? floatGelu : geluStep)(context, operation);
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
  const { rows, columns: features } = context.tensor(input);
  const words = int16Words(features);
  const buffers = {
    x: context.activation(input),
    gain: context.parameter(`${name}.gain`),
    bias: context.parameter(`${name}.bias`),
    y: context.activation(output),
  };
  const rowsRead =
    row === null
      ? { rows: context.images * rows }
      : { rows: context.images, xOffset: row * words, xRowStride: rows * words };
  const bounds = codeBounds(codesOf(context.tensor(output), output));
  return [await intLayerNorm(context.device, buffers, { ...rowsRead, features, form, epsilon, ...bounds })];
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
  const shape = { rows: context.images * heads * rows, columns, rowsPerHead: rows, heads };
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
