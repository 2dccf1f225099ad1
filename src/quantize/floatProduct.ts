import type { BufferScope } from '../gpu/buffers.ts';
import type { Dispatch } from '../gpu/kernel.ts';
import { matmulF32, transposed, type StridedMatrix as FloatMatrix } from '../kernels/matmulF32.ts';
import type { LeftQuantizer, RightQuantizer } from './floatQuantizer.ts';
import { floatLeft, floatRight, type FloatOperand } from './floatOperand.ts';
import type { ProductGeometry } from './geometry.ts';

/**
 * Products of values of codes: `candidates` outputs from `c` on, one after the other at `candidateStride`. Depth is summed in index order.
 */
export async function floatProducts(
  device: GPUDevice,
  { left, right, bias }: { readonly left: FloatOperand; readonly right: FloatOperand; readonly bias: GPUBuffer | null },
  { rows, columns, depth, heads }: Pick<ProductGeometry, 'rows' | 'columns' | 'depth' | 'heads'>,
  images: number,
  output: {
    readonly c: GPUBuffer;
    readonly matrix: FloatMatrix;
    readonly candidates: number;
    readonly candidateStride: number;
  },
): Promise<Dispatch[]> {
  const at = ({ matrix, candidateStride }: Pick<FloatOperand, 'matrix' | 'candidateStride'>, candidate: number) => ({
    ...matrix,
    offset: matrix.offset + candidate * candidateStride,
  });
  return Promise.all(
    Array.from({ length: output.candidates }, (_, candidate) =>
      matmulF32(
        device,
        { a: left.values, b: right.values, bias, c: output.c },
        {
          ...{ rows, columns, depth, heads, images },
          a: at(left, candidate),
          b: transposed(at(right, candidate)),
          c: at(output, candidate),
        },
      ),
    ),
  );
}

/**
 * Work of a layer without an integer product, into `output`.
 *
 * @param weight `values` f32 `[columns, depth]` as of `weightWords`, when b is one
 */
export async function runFloatLayer(
  device: GPUDevice,
  {
    recipe,
    geometry,
    weight,
  }: {
    readonly recipe: { readonly a: LeftQuantizer; readonly b: RightQuantizer };
    readonly geometry: ProductGeometry;
    readonly weight: { readonly codes: GPUBuffer; readonly bias: GPUBuffer | null } | undefined;
  },
  operands: { readonly a: GPUBuffer; readonly b: GPUBuffer | undefined },
  images: number,
  output: GPUBuffer,
  scope: BufferScope,
): Promise<Dispatch[]> {
  const { heads, rows, depth, columns } = geometry;
  const left = await floatLeft(device, operands.a, geometry.a, { images, heads, rows, depth }, [recipe.a], scope);
  let right: FloatOperand;
  if (geometry.b && operands.b) {
    const shape = { images, heads, depth, columns };
    right = await floatRight(device, operands.b, geometry.b, shape, [recipe.b], scope);
  } else {
    if (!weight) throw new Error('a linear layer needs its weight');
    const matrix = { offset: 0, outerStride: 0, innerStride: 0, rowStride: depth, columnStride: 1 };
    right = { values: weight.codes, candidateStride: 0, matrix, dispatches: [] };
  }
  const { offset, imageStride, headStride, rowStride } = geometry.output;
  const matrix = { offset, outerStride: imageStride, innerStride: headStride, rowStride, columnStride: 1 };
  const operandsOf = { left, right, bias: weight?.bias ?? null };
  const into = { c: output, matrix, candidates: 1, candidateStride: 0 };
  return [
    ...left.dispatches,
    ...right.dispatches,
    ...(await floatProducts(device, operandsOf, geometry, images, into)),
  ];
}
