import body from '../../shaders/int_layer_norm.wgsl?raw';
import library from '../../shaders/lib_fixed_point.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, codeWords } from './codes.ts';
import { int16Words } from './int16.ts';
import type { WordView } from './requantizedLayout.ts';
import { checkFeatures, type IntLayerNormForm } from './layerNormConstants.ts';

export const intLayerNormKernel = {
  name: 'int_layer_norm',
  wgsl: `${body}\n${library}`,
  bindings: { x: 'read', gain: 'read', bias: 'read', y: 'read_write' },
  params: {
    rows: 'u32',
    features: 'u32',
    x_offset: 'u32',
    x_row_stride: 'u32',
    epsilon_low: 'u32',
    epsilon_high: 'u32',
    qmin: 'i32',
    qmax: 'i32',
    heads: 'u32',
    tokens: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
    y_word_stride: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 32, FORM: 0, OUTPUT: 0 },
} as const satisfies Kernel;

export interface IntLayerNormParams {
  readonly rows: number;
  readonly features: number;
  readonly form: IntLayerNormForm;
  /** Of `layerNormConstants`. */
  readonly epsilon: number;
  /** First word of x, and words between its rows. Default 0 and dense. */
  readonly xOffset?: number;
  readonly xRowStride?: number;
  /** Default `codes`; `int16` are packed two a word. */
  readonly output?: 'codes' | 'int16';
  /** Inclusive bounds of what is written. Default those of 8 or of 16 bits. */
  readonly qmin?: number;
  readonly qmax?: number;
  /** Rows of consecutive heads with gains and biases of their own; a divisor of the rows. Default 1. */
  readonly heads?: number;
  /** Tokens of an image, of `heads` rows each. Default all. */
  readonly tokens?: number;
  /** Words between the images, heads, tokens and words of y; `offset` is not used. Default dense rows. */
  readonly view?: WordView;
}

/**
 * Prepares the integer LayerNorm of 16-bit rows into the left operand of a product, an operand of attention or 16-bit rows (METHOD:
 * integer-only inference).
 *
 * @param buffers.x u32, int16 two a word, rows at `xOffset` and `xRowStride`
 * @param buffers.gain i32 `[heads][features][2]` of `layerNormConstants`
 * @param buffers.bias i32 `[heads][features]` of `layerNormConstants`
 * @param buffers.y u32, dense rows of packed codes or int16, or at `view`
 * @throws RangeError on a bad size, more than 4096 features, bounds outside 8 or 16 bits or a buffer too small
 */
export async function intLayerNorm(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof intLayerNormKernel.bindings, Bindable>>,
  params: IntLayerNormParams,
): Promise<Dispatch> {
  const { rows, features, form, epsilon, xOffset = 0, output = 'codes', heads = 1 } = params;
  const limit = output === 'codes' ? 2 ** 7 : 2 ** 15;
  const { qmin = -limit, qmax = limit - 1, tokens = rows / heads } = params;
  checkIntegers({ rows, heads, tokens, images: rows / (heads * tokens) }, 1);
  checkFeatures(features);
  const { xRowStride = int16Words(features) } = params;
  checkIntegers({ epsilon, xOffset, xRowStride }, 0);
  if (epsilon >= 2 ** 53) throw new RangeError(`epsilon must be below 2^53, got ${epsilon}`);
  if (!(-limit <= qmin && qmin <= qmax && qmax < limit)) {
    throw new RangeError(`qmin ${qmin} and qmax ${qmax} must be ordered integers in ${-limit}..${limit - 1}`);
  }
  const words = output === 'codes' ? codeWords(features) : int16Words(features);
  const dense = { imageStride: heads * tokens * words, headStride: words, rowStride: heads * words, columnStride: 1 };
  const { imageStride, headStride, rowStride, columnStride } = params.view ?? dense;
  checkIntegers({ imageStride, headStride, rowStride, columnStride }, 0);
  const last = (rows / (heads * tokens) - 1) * imageStride + (heads - 1) * headStride + (tokens - 1) * rowStride;
  checkRoom('x', buffers.x, xOffset + (rows - 1) * xRowStride + int16Words(features));
  checkRoom('gain', buffers.gain, 2 * heads * features);
  checkRoom('bias', buffers.bias, heads * features);
  checkRoom('y', buffers.y, last + (words - 1) * columnStride + 1);
  return prepare(
    device,
    intLayerNormKernel,
    buffers,
    {
      rows,
      features,
      x_offset: xOffset,
      x_row_stride: xRowStride,
      epsilon_low: epsilon % 2 ** 32,
      epsilon_high: Math.floor(epsilon / 2 ** 32),
      qmin,
      qmax,
      heads,
      tokens,
      y_image_stride: imageStride,
      y_head_stride: headStride,
      y_row_stride: rowStride,
      y_word_stride: columnStride,
    },
    gridFor(device, rows, intLayerNormKernel.overrides.WORKGROUP_SIZE),
    { FORM: form === 'published' ? 1 : 0, OUTPUT: output === 'codes' ? 0 : 1 },
  );
}
