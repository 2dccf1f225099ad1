import codes from '../../shaders/lib_codes.wgsl?raw';
import fixedPoint from '../../shaders/lib_fixed_point.wgsl?raw';
import requantize from '../../shaders/lib_requantize.wgsl?raw';
import body from '../../shaders/matmul_requantize.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import {
  accumulatorBound,
  checkBits,
  checkIntegers,
  checkRoom,
  CODE_KIND,
  codeWords,
  viewExtent,
  type CodeKind,
  type RowView,
} from './codes.ts';
import { dyadicFault, type Dyadic } from './dyadic.ts';
import { matmulRequantizeSubgroupsKernel } from './matmulRequantizeSubgroups.ts';
import { matmulRequantizeWorkgroupKernel } from './matmulRequantizeWorkgroup.ts';
import { checkVariant, plainVariant, tileOf, type MatmulVariant } from './matmulVariant.ts';
import { requantizeInterface, requantizeOverrides } from './requantizeInterface.ts';
import { outputExtent, type RequantizedOutput, type RequantizedType } from './requantizedLayout.ts';

export const matmulRequantizeKernel = {
  name: 'matmul_requantize',
  wgsl: `${body}\n${requantize}\n${codes}\n${fixedPoint}`,
  ...requantizeInterface,
  overrides: { WX: 32, ...requantizeOverrides },
} as const satisfies Kernel;

/** `OUTPUT` of the shader. */
const OUTPUT: Readonly<Record<RequantizedType, number>> = { codes: 0, 'codes-by-rows': 1, int16: 2, int32: 3 };

export interface MatmulRequantizeBuffers {
  /** u32, row-major codes at the view `a`. */
  readonly a: Bindable;
  /** u32, depth-major signed codes at the view `b`. */
  readonly b: Bindable;
  /** i32 or none. */
  readonly bias: Bindable | null;
  /** u32 pairs (multiplier, shift), `packDyadics`; none for int32 outputs. */
  readonly rescale: Bindable | null;
  /** u32, int16 laid out like the output but from its own offset; none unless the output is int16. */
  readonly residual: Bindable | null;
  readonly y: Bindable;
}

/** Where the entry of a column lies: offset + head*headStride + column*columnStride. */
export interface ColumnView {
  readonly offset: number;
  readonly headStride: number;
  readonly columnStride: number;
}

export interface MatmulRequantizeParams {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  /** Planes of A whose products with B are added: each `ceil(depth / 4)` words of a row, one behind the other. Default 1. */
  readonly planes?: 1 | 2;
  readonly columns: number;
  readonly aKind: CodeKind;
  /** Width of a code of A, flag included. */
  readonly aBits: number;
  /** Twin shift; 0 for uniform codes. */
  readonly shift: number;
  /** Width of a code of B, for the accumulator bound. Default 8. */
  readonly bBits?: number;
  /** Largest |acc + bias| that the data can reach, below 2^31. Default the worst case of the widths, without bias. */
  readonly largestSum?: number;
  /** Rows of words of A. Default dense `[images][heads][rows][planes][words]`. */
  readonly a?: RowView;
  /** Rows of words of B, one a group of four depths. Default one dense `[words][columns]` for all. */
  readonly b?: RowView;
  /** Default offset 0, the same for every head. */
  readonly bias?: { readonly offset: number; readonly headStride: number };
  /** Default one per column, the same for every head. */
  readonly rescale?: ColumnView;
  readonly output: RequantizedOutput;
  /** Inclusive bounds of codes and of int16. Default -128..127 and -32768..32767. */
  readonly qmin?: number;
  readonly qmax?: number;
  /** How the residual is rescaled before it is added: form `term` of `dyadic`. */
  readonly residual?: Dyadic & { readonly offset: number };
  /** The tile; the result does not depend on it. Default the plain one. */
  readonly variant?: MatmulVariant;
}

/**
 * Prepares `y = clamp(rescale(A B + bias) [+ rescale(residual)])` over packed codes: int32 inside, half toward +infinity.
 *
 * @throws RangeError on a bad count, a product that can overflow i32, a rescale outside its form, a buffer too small or a variant
 *   that this device cannot run
 */
export async function matmulRequantize(
  device: GPUDevice,
  buffers: MatmulRequantizeBuffers,
  params: MatmulRequantizeParams,
): Promise<Dispatch> {
  const { images, heads, rows, columns, aKind, aBits, variant = plainVariant(columns), output, residual } = params;
  const { a, b, bias, rescale } = checked(buffers, params);
  const [least, most] = output.type === 'int16' ? [-(2 ** 15), 2 ** 15 - 1] : [-128, 127];
  const { qmin = least, qmax = most } = params;
  if (!(least <= qmin && qmin <= qmax && qmax <= most)) {
    throw new RangeError(`qmin ${qmin} and qmax ${qmax} must be ordered integers in ${least}..${most}`);
  }
  checkVariant(device, variant);
  const tile = tileOf(variant);
  const tiles = Math.ceil(columns / tile.columns) * Math.ceil(rows / tile.rows) * images * heads;
  const { kernel, constants } = kernelOf(variant);
  return prepare(
    device,
    kernel,
    {
      ...buffers,
      bias: buffers.bias ?? buffers.a,
      rescale: buffers.rescale ?? buffers.a,
      residual: buffers.residual ?? buffers.a,
    },
    {
      images,
      heads,
      rows,
      depth: params.depth,
      planes: params.planes ?? 1,
      columns,
      shift: params.shift,
      a_offset: a.offset,
      a_image_stride: a.imageStride,
      a_head_stride: a.headStride,
      a_row_stride: a.rowStride,
      b_offset: b.offset,
      b_image_stride: b.imageStride,
      b_head_stride: b.headStride,
      b_row_stride: b.rowStride,
      bias_offset: bias.offset,
      bias_head_stride: bias.headStride,
      rescale_offset: rescale.offset,
      rescale_head_stride: rescale.headStride,
      rescale_column_stride: rescale.columnStride,
      qmin,
      qmax,
      residual_offset: residual?.offset ?? 0,
      residual_multiplier: residual?.multiplier ?? 0,
      residual_shift: residual?.shift ?? 1,
      y_offset: output.view.offset,
      y_image_stride: output.view.imageStride,
      y_head_stride: output.view.headStride,
      y_row_stride: output.view.rowStride,
      y_column_stride: output.view.columnStride,
    },
    gridFor(device, tiles, 1),
    {
      ...constants,
      A_KIND: CODE_KIND[aKind],
      A_BITS: aBits,
      OUTPUT: OUTPUT[output.type],
      HAS_BIAS: buffers.bias ? 1 : 0,
      HAS_RESIDUAL: buffers.residual ? 1 : 0,
    },
  );
}

/** The kernel of a variant and the overrides that are its tile. */
function kernelOf(variant: MatmulVariant): {
  readonly kernel: Kernel<keyof typeof requantizeInterface.bindings, keyof typeof requantizeInterface.params>;
  readonly constants: Readonly<Record<string, number>>;
} {
  switch (variant.style) {
    case 'plain':
      return { kernel: matmulRequantizeKernel, constants: { WX: variant.lanes } };
    case 'subgroups': {
      const { lanes, rows, share } = variant;
      return { kernel: matmulRequantizeSubgroupsKernel, constants: { WX: lanes, ROWS: rows, SHARE: share } };
    }
    case 'workgroup': {
      const [wx, wy] = variant.lanes;
      return { kernel: matmulRequantizeWorkgroupKernel, constants: { WX: wx, WY: wy } };
    }
  }
}

/** The views of the operands, after every check that needs no data. */
function checked(buffers: MatmulRequantizeBuffers, params: MatmulRequantizeParams) {
  const { images, heads, rows, depth, planes = 1, columns, aKind, aBits, shift, bBits = 8, output, residual } = params;
  checkBits(aBits);
  checkBits(bBits);
  checkIntegers({ images, heads, rows, depth, planes, columns }, 1);
  const words = codeWords(depth);
  const aWords = planes * words;
  const dense = { offset: 0, imageStride: heads * rows * aWords, headStride: rows * aWords, rowStride: aWords };
  const { a = dense, b = { offset: 0, imageStride: 0, headStride: 0, rowStride: columns } } = params;
  const { bias = { offset: 0, headStride: 0 }, rescale = { offset: 0, headStride: 0, columnStride: 1 } } = params;
  for (const view of [{ shift }, a, b, bias, rescale, output.view]) checkIntegers({ ...view }, 0);

  const worst = accumulatorBound({ kind: aKind, bits: aBits, shift, depth: planes * depth, bBits });
  const { largestSum = worst } = params;
  if (!(largestSum >= 0 && largestSum < 2 ** 31)) {
    throw new RangeError(
      `shift ${shift} at depth ${depth} can reach ${largestSum} in a 32-bit accumulator; take a smaller shift`,
    );
  }
  checkRoom('a', buffers.a, viewExtent(a, images, heads, rows, aWords));
  checkRoom('b', buffers.b, viewExtent(b, images, heads, words, columns));
  if (buffers.bias) checkRoom('bias', buffers.bias, bias.offset + (heads - 1) * bias.headStride + columns);
  const { offset, headStride, columnStride } = rescale;
  const entries = offset + (heads - 1) * headStride + (columns - 1) * columnStride + 1;
  if (buffers.rescale) checkRoom('rescale', buffers.rescale, 2 * entries);
  if (!buffers.rescale !== (output.type === 'int32')) {
    throw new RangeError(`an output of ${output.type} ${buffers.rescale ? 'takes no' : 'needs a'} rescale`);
  }
  checkRoom('y', buffers.y, outputExtent(output, params));
  if (!buffers.residual !== !residual || (residual && output.type !== 'int16')) {
    throw new RangeError(`a residual is a buffer with its rescale and an int16 output, got ${output.type}`);
  }
  if (buffers.residual && residual) {
    const fault = dyadicFault(residual, 'term');
    if (fault !== undefined) throw new RangeError(`rescale of the residual: ${fault}`);
    checkIntegers({ 'offset of residual': residual.offset }, 0);
    const view = { ...output.view, offset: residual.offset };
    checkRoom('residual', buffers.residual, outputExtent({ ...output, view }, params));
  }
  return { a, b, bias, rescale };
}
