import type { BufferScope } from '../gpu/buffers.ts';
import { submit, type Dispatch } from '../gpu/kernel.ts';
import { addF32 } from '../kernels/addF32.ts';
import { assembleTokensF32 } from '../kernels/assembleTokensF32.ts';
import { attentionBiasF32 } from '../kernels/attentionBiasF32.ts';
import { gatherWords } from '../kernels/gatherWords.ts';
import { geluF32 } from '../kernels/geluF32.ts';
import { layerNormF32 } from '../kernels/layerNormF32.ts';
import { denseMatrix, matmulF32, transposed } from '../kernels/matmulF32.ts';
import { softmaxF32 } from '../kernels/softmaxF32.ts';
import type { ExecutionContext, SearchedExecutor, Tensors } from './context.ts';
import { isSearched, type LinearOperation, type MatmulOperation, type Operation, type Unit } from './graph.ts';
import { elementsOf, meanWeights, stridedMatrix, tensorOf } from './tensors.ts';

/**
 * Computes every tensor of `unit` for a chunk of `images` images.
 *
 * @param input the unit's input, f32 `[images][elements]`; in the result under its name, not owned by `scope`
 * @param scope owns all other buffers of the result; `keep` what must outlive it
 * @param executor computes the searched layers; in float when absent
 */
export async function forwardUnit(
  context: ExecutionContext,
  unit: Unit,
  input: GPUBuffer,
  images: number,
  scope: BufferScope,
  executor: SearchedExecutor = floatExecutor(context, unit),
): Promise<Tensors> {
  const tensors: Tensors = new Map([[unit.input, input]]);
  for (const operation of unit.operations) {
    await forwardOperation(context, unit, operation, tensors, images, scope, executor);
  }
  return tensors;
}

/** Computes one operation of `unit` for a chunk of `images` images: adds its output to `tensors`. */
export async function forwardOperation(
  context: ExecutionContext,
  unit: Unit,
  operation: Operation,
  tensors: Tensors,
  images: number,
  scope: BufferScope,
  executor: SearchedExecutor,
): Promise<GPUBuffer> {
  const name = outputOf(operation);
  const output = scope.acquire(4 * images * elementsOf(unit, name), `${unit.name} ${name}`);
  const dispatches = isSearched(operation)
    ? await executor(operation, tensors, images, output, scope)
    : [await unsearched(context, operation, tensors, images, output)];
  submit(context.device, dispatches);
  tensors.set(name, output);
  return output;
}

/** The executor of the float model. */
export function floatExecutor(context: ExecutionContext, unit: Unit): SearchedExecutor {
  return async (operation, tensors, images, output) => [
    operation.kind === 'linear'
      ? await floatLinear(context, operation, tensors, images, output)
      : await floatMatmul(context, unit, operation, tensors, images, output),
  ];
}

/** Name of the tensor that an operation makes. */
export function outputOf(operation: Operation): string {
  return operation.kind === 'matmul' ? operation.output.tensor : operation.output;
}

function floatLinear(
  { device, parameters }: ExecutionContext,
  operation: LinearOperation,
  tensors: ReadonlyMap<string, GPUBuffer>,
  images: number,
  output: GPUBuffer,
): Promise<Dispatch> {
  const rows = images * operation.rows; // a weight does not care which image a row is of
  const { inFeatures: depth, outFeatures: columns } = operation;
  const buffers = {
    a: tensorOf(tensors, operation.input),
    b: parameters.get(operation.weight),
    bias: operation.bias === null ? null : parameters.get(operation.bias),
    c: output,
  };
  return matmulF32(device, buffers, {
    rows,
    columns,
    depth,
    heads: 1,
    images: 1,
    a: denseMatrix(rows, depth),
    b: transposed(denseMatrix(columns, depth)),
    c: denseMatrix(rows, columns),
  });
}

function floatMatmul(
  { device }: ExecutionContext,
  unit: Unit,
  operation: MatmulOperation,
  tensors: ReadonlyMap<string, GPUBuffer>,
  images: number,
  output: GPUBuffer,
): Promise<Dispatch> {
  const { rows, columns, depth, heads, windows } = operation;
  const buffers = {
    a: tensorOf(tensors, operation.a.tensor),
    b: tensorOf(tensors, operation.b.tensor),
    bias: null,
    c: output,
  };
  const [a, b, c] = [operation.a, operation.b, operation.output].map((view) => stridedMatrix(unit, view, windows));
  return matmulF32(device, buffers, { rows, columns, depth, heads, images: images * windows, a: a!, b: b!, c: c! });
}

function unsearched(
  { device, parameters }: ExecutionContext,
  operation: Exclude<Operation, LinearOperation | MatmulOperation>,
  tensors: ReadonlyMap<string, GPUBuffer>,
  images: number,
  y: GPUBuffer,
): Promise<Dispatch> {
  switch (operation.kind) {
    case 'layerNorm': {
      const x = tensorOf(tensors, operation.input);
      const gain = parameters.get(`${operation.name}.weight`);
      const shift = parameters.get(`${operation.name}.bias`);
      const { rows, features, epsilon } = operation;
      return layerNormF32(device, { x, gain, shift, y }, { rows: images * rows, features, epsilon });
    }
    case 'softmax': {
      const { rows, columns, scale } = operation;
      return softmaxF32(device, { x: tensorOf(tensors, operation.input), y }, { rows: images * rows, columns, scale });
    }
    case 'gelu':
      return geluF32(device, { x: tensorOf(tensors, operation.input), y }, { count: images * operation.count });
    case 'add': {
      const [a, b] = [tensorOf(tensors, operation.a), tensorOf(tensors, operation.b)];
      return addF32(device, { a, b, y }, { count: images * operation.count, scale: operation.scale });
    }
    case 'tokens': {
      const { rows, features } = operation;
      const prefixRows = operation.prefix.length;
      const position = parameters.get(operation.position);
      const prefix = prefixRows > 0 ? parameters.joined(operation.prefix) : position; // no row of it is read
      const buffers = { x: tensorOf(tensors, operation.input), prefix, position, y };
      return assembleTokensF32(device, buffers, { images, rows, prefixRows, features });
    }
    case 'gatherRows': {
      const { indices, rows: sourceRows, features: words } = operation;
      const buffers = { source: tensorOf(tensors, operation.input), indices: parameters.indices(indices), y };
      return gatherWords(device, buffers, { images, sourceRows, rows: indices.length, words });
    }
    case 'attentionBias': {
      const { scale, heads, tokens, windows, index, mask } = operation;
      const buffers = {
        x: tensorOf(tensors, operation.input),
        table: parameters.get(operation.table),
        pairs: parameters.indices(index),
        regions: mask && parameters.indices(mask),
        y,
      };
      return attentionBiasF32(device, buffers, { images, windows, heads, tokens, scale });
    }
    case 'meanRows': {
      const { rows: depth, features: columns } = operation;
      const buffers = {
        a: meanWeights(parameters, operation),
        b: tensorOf(tensors, operation.input),
        bias: null,
        c: y,
      };
      const a = { ...denseMatrix(1, depth), outerStride: 0 }; // the same row for every image
      const [b, c] = [denseMatrix(depth, columns), denseMatrix(1, columns)];
      return matmulF32(device, buffers, { rows: 1, columns, depth, heads: 1, images, a, b, c });
    }
  }
}
