import type { BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { addF32 } from '../kernels/addF32.ts';
import { copyRowsF32 } from '../kernels/copyRowsF32.ts';
import { gatherWords } from '../kernels/gatherWords.ts';
import { geluBackwardF32 } from '../kernels/geluBackwardF32.ts';
import { layerNormBackwardF32 } from '../kernels/layerNormBackwardF32.ts';
import { denseMatrix, matmulF32, transposed, type StridedMatrix } from '../kernels/matmulF32.ts';
import { softmaxBackwardF32 } from '../kernels/softmaxBackwardF32.ts';
import type { ExecutionContext, Tensors } from './context.ts';
import { outputOf } from './forward.ts';
import { GradientStore } from './gradientStore.ts';
import type { LinearOperation, MatmulOperation, Operation, Unit } from './graph.ts';
import { elementsOf, meanWeights, stridedMatrix, tensorOf } from './tensors.ts';

/**
 * Back-propagates through `unit`: the gradient of every tensor of the unit, its input included (unless it is pixels).
 *
 * @param tensors what `forwardUnit` returned for the same chunk
 * @param outputGradient gradient of the unit's output, f32 `[images][elements]`; in the result under its name
 * @param scope owns the buffers of the result. Names may share a buffer (the gradient of `residual = x + attn` serves
 *   `attn` too); that of the unit's input is its own, so it can be kept alone
 */
export async function backwardUnit(
  context: ExecutionContext,
  unit: Unit,
  tensors: ReadonlyMap<string, GPUBuffer>,
  outputGradient: GPUBuffer,
  images: number,
  scope: BufferScope,
): Promise<Tensors> {
  const gradients = new GradientStore(context.device, unit, outputGradient, images, scope);
  for (const operation of unit.operations.toReversed()) {
    const dy = gradients.get(outputOf(operation));
    await propagate({ context, unit, tensors, images, gradients, dy }, operation);
  }
  await gradients.separate(unit.input);
  return gradients.all();
}

interface Step {
  readonly context: ExecutionContext;
  readonly unit: Unit;
  readonly tensors: ReadonlyMap<string, GPUBuffer>;
  readonly images: number;
  readonly gradients: GradientStore;
  /** Gradient of the operation's output. */
  readonly dy: GPUBuffer;
}

async function propagate(step: Step, operation: Operation): Promise<void> {
  const { context, tensors, images, gradients, dy } = step;
  const { device, parameters } = context;
  switch (operation.kind) {
    case 'linear':
      if (operation.operand !== 'pixels') await linearBackward(step, operation);
      return;
    case 'matmul':
      return matmulBackward(step, operation);
    case 'layerNorm': {
      const x = tensorOf(tensors, operation.input);
      const gain = parameters.get(`${operation.name}.weight`);
      const { rows, features, epsilon } = operation;
      return gradients.add(operation.input, (dx) =>
        layerNormBackwardF32(device, { x, gain, dy, dx }, { rows: images * rows, features, epsilon }),
      );
    }
    case 'softmax': {
      const y = tensorOf(tensors, operation.output);
      const { rows, columns, scale } = operation;
      return gradients.add(operation.input, (dx) =>
        softmaxBackwardF32(device, { y, dy, dx }, { rows: images * rows, columns, scale }),
      );
    }
    case 'gelu': {
      const x = tensorOf(tensors, operation.input);
      return gradients.add(operation.input, (dx) =>
        geluBackwardF32(device, { x, dy, dx }, { count: images * operation.count }),
      );
    }
    case 'add':
      for (const input of [operation.a, operation.b]) {
        if (operation.scale === 1) await gradients.share(input, dy);
        else await scaled(step, input, operation.scale);
      }
      return;
    case 'tokens': {
      const { rows, features } = operation;
      const prefix = operation.prefix.length * features;
      const shape = {
        images,
        rows,
        columns: features,
        sourceOffset: prefix,
        sourceOuter: prefix + rows * features,
        sourceRow: features,
        targetOffset: 0,
        targetOuter: rows * features,
        targetRow: features,
      };
      return gradients.add(operation.input, (dx) => copyRowsF32(device, { source: dy, destination: dx }, shape));
    }
    case 'gatherRows': {
      const { indices, rows, features: words } = operation;
      const inverse = parameters.constant(operation, () => inverseRows(indices, rows));
      const shape = { images, sourceRows: indices.length, rows, words };
      return gradients.add(operation.input, (dx) =>
        gatherWords(device, { source: dy, indices: inverse, y: dx }, shape),
      );
    }
    case 'attentionBias':
      return scaled(step, operation.input, operation.scale);
    case 'meanRows': {
      const { rows, features: columns } = operation;
      const weights = meanWeights(parameters, operation);
      const a = { ...transposed(denseMatrix(1, rows)), outerStride: 0 };
      const views = { a, b: denseMatrix(1, columns), c: denseMatrix(rows, columns) };
      return gradients.add(operation.input, (dx) =>
        matmulF32(
          device,
          { a: weights, b: dy, bias: null, c: dx },
          { rows, columns, depth: 1, heads: 1, images, ...views },
        ),
      );
    }
  }
}

/** A contribution of `scale` times the output's gradient. */
function scaled({ context, unit, images, gradients, dy }: Step, input: string, scale: number): Promise<void> {
  const shape = { count: images * elementsOf(unit, input), scale: scale / 2 }; // (dy + dy) / 2 is exact
  return gradients.add(input, (dx) => addF32(context.device, { a: dy, b: dy, y: dx }, shape));
}

/** Which row of the output each row of the input went to, -1 for none. */
function inverseRows(indices: ArrayLike<number>, rows: number): Int32Array {
  const inverse = new Int32Array(rows).fill(-1);
  for (let i = 0; i < indices.length; i++) {
    const row = indices[i] as number;
    if (row >= 0) inverse[row] = i;
  }
  return inverse;
}

/** dX = dY * W; W `[outFeatures, inFeatures]` is the right operand as it lies. */
function linearBackward({ context, images, gradients, dy }: Step, operation: LinearOperation): Promise<void> {
  const rows = images * operation.rows;
  const { inFeatures, outFeatures } = operation;
  const weight = context.parameters.get(operation.weight);
  return gradients.add(operation.input, (dx) =>
    matmulF32(
      context.device,
      { a: dy, b: weight, bias: null, c: dx },
      {
        rows,
        columns: inFeatures,
        depth: outFeatures,
        heads: 1,
        images: 1,
        a: denseMatrix(rows, outFeatures),
        b: denseMatrix(outFeatures, inFeatures),
        c: denseMatrix(rows, inFeatures),
      },
    ),
  );
}

interface Operand {
  readonly buffer: GPUBuffer;
  readonly matrix: StridedMatrix;
}

/** dA = dC * B^T and dB = A^T * dC per head, each written where A and B lie inside their tensors. */
async function matmulBackward({ context, unit, tensors, images, gradients, dy }: Step, operation: MatmulOperation) {
  const { rows, columns, depth, heads, windows } = operation;
  const operand = (view: MatmulOperation['a'], buffer: GPUBuffer): Operand => ({
    buffer,
    matrix: stridedMatrix(unit, view, windows),
  });
  const a = operand(operation.a, tensorOf(tensors, operation.a.tensor));
  const b = operand(operation.b, tensorOf(tensors, operation.b.tensor));
  const dc = operand(operation.output, dy);
  const product = (left: Operand, right: Operand, result: Operand, size: [number, number, number]) =>
    strided(context.device, left, right, result, size, heads, images * windows);
  await gradients.addView(operation.a, windows, heads, rows, depth, (da) =>
    product(dc, flipped(b), operand(operation.a, da), [rows, depth, columns]),
  );
  await gradients.addView(operation.b, windows, heads, depth, columns, (db) =>
    product(flipped(a), dc, operand(operation.b, db), [depth, columns, rows]),
  );
}

function flipped({ buffer, matrix }: Operand): Operand {
  return { buffer, matrix: transposed(matrix) };
}

/** result = left * right; as result^T = right^T * left^T where the columns of the result are not contiguous. */
function strided(
  device: GPUDevice,
  left: Operand,
  right: Operand,
  result: Operand,
  [rows, columns, depth]: [rows: number, columns: number, depth: number],
  heads: number,
  images: number,
): Promise<Dispatch> {
  if (result.matrix.columnStride !== 1) {
    return strided(device, flipped(right), flipped(left), flipped(result), [columns, rows, depth], heads, images);
  }
  const buffers = { a: left.buffer, b: right.buffer, bias: null, c: result.buffer };
  const views = { a: left.matrix, b: right.matrix, c: result.matrix };
  return matmulF32(device, buffers, { rows, columns, depth, heads, images, ...views });
}
