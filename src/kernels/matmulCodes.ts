import codes from '../../shaders/lib_codes.wgsl?raw';
import body from '../../shaders/matmul_codes.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import {
  accumulatorBound,
  checkBits,
  checkIntegers,
  checkRoom,
  CODE_KIND,
  codeWords,
  lanesFor,
  viewExtent,
  type CodeKind,
  type RowView,
} from './codes.ts';

export const matmulCodesKernel = {
  name: 'matmul_codes',
  wgsl: `${body}\n${codes}`,
  bindings: { a: 'read', b: 'read', scales: 'read', bias: 'read', y: 'read_write' },
  params: {
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    depth: 'u32',
    columns: 'u32',
    b_batch_stride: 'u32',
    shift: 'u32',
    scale_head_stride: 'u32',
    scale_column_stride: 'u32',
    has_bias: 'u32',
    y_offset: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
  },
  overrides: { WX: 32, A_KIND: 0, A_BITS: 8, OUTPUT_I32: 0 },
} as const satisfies Kernel;

export interface MatmulCodesBuffers {
  /** u32 `[images * heads][rows][words]`, row-major codes. */
  readonly a: GPUBuffer;
  /** u32 `[images * heads or 1][words][columns]`, depth-major signed codes. */
  readonly b: GPUBuffer;
  /** f32, index `head * scaleHeadStride + column * scaleColumnStride`. */
  readonly scales: GPUBuffer;
  /** f32 `[columns]` or none. */
  readonly bias: GPUBuffer | null;
  /** f32 (or i32) at the view `output`. */
  readonly y: GPUBuffer;
}

export interface MatmulCodesParams {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
  /** Width of a code of A, flag included. */
  readonly aBits: number;
  /** Twin shift; 0 for uniform codes. */
  readonly shift: number;
  /** Largest sum of |integers| of A along the depth, for the accumulator bound. Default: that of the largest codes. */
  readonly aReach?: number | undefined;
  /** Width of a code of B, for the accumulator bound. Default 8. */
  readonly bBits?: number;
  /** Words between the B of two batch entries: `words * columns`, or 0 when all share one. */
  readonly bBatchStride: number;
  readonly scaleHeadStride: number;
  readonly scaleColumnStride: number;
  /** Where the output lies; its columns are adjacent. */
  readonly output: RowView;
  /** `i32` writes the bare accumulator. Default `f32`. */
  readonly outputType?: 'f32' | 'i32';
  /** Lanes of a workgroup; the result does not depend on it. */
  readonly lanes?: 16 | 32;
}

/**
 * Prepares `y = f32(A * B) * scale + bias` over packed codes with an exact i32 accumulator (PTQ4ViT, sections 2 and 3.2).
 *
 * @throws RangeError on a bad count, a product that can overflow i32, or a buffer too small
 */
export async function matmulCodes(
  device: GPUDevice,
  { a, b, scales, bias, y }: MatmulCodesBuffers,
  params: MatmulCodesParams,
): Promise<Dispatch> {
  const { images, heads, rows, depth, columns, aKind, aBits, aReach, shift, bBits = 8, bBatchStride } = params;
  const { scaleHeadStride, scaleColumnStride, output, outputType = 'f32', lanes = lanesFor(columns) } = params;
  checkBits(aBits);
  checkBits(bBits);
  checkIntegers({ images, heads, rows, depth, columns }, 1);
  checkIntegers({ shift, bBatchStride, scaleHeadStride, scaleColumnStride, ...output }, 0);
  const bound = accumulatorBound({ kind: aKind, bits: aBits, shift, depth, bBits, reach: aReach });
  if (bound >= 2 ** 31) {
    throw new RangeError(
      `shift ${shift} at depth ${depth} can reach ${bound} in a 32-bit accumulator; take a smaller shift`,
    );
  }
  const words = codeWords(depth);
  checkRoom('a', a, images * heads * rows * words);
  checkRoom('b', b, (images * heads - 1) * bBatchStride + words * columns);
  checkRoom('scales', scales, (heads - 1) * scaleHeadStride + (columns - 1) * scaleColumnStride + 1);
  if (bias) checkRoom('bias', bias, columns);
  checkRoom('y', y, viewExtent(output, images, heads, rows, columns));
  const tiles = Math.ceil(columns / (4 * lanes)) * Math.ceil(rows / 8) * images * heads;
  return prepare(
    device,
    matmulCodesKernel,
    { a, b, scales, bias: bias ?? scales, y },
    {
      images,
      heads,
      rows,
      depth,
      columns,
      b_batch_stride: bBatchStride,
      shift,
      scale_head_stride: scaleHeadStride,
      scale_column_stride: scaleColumnStride,
      has_bias: bias ? 1 : 0,
      y_offset: output.offset,
      y_image_stride: output.imageStride,
      y_head_stride: output.headStride,
      y_row_stride: output.rowStride,
    },
    gridFor(device, tiles, 1),
    { WX: lanes, A_KIND: CODE_KIND[aKind], A_BITS: aBits, OUTPUT_I32: outputType === 'i32' ? 1 : 0 },
  );
}
