import body from '../../shaders/int_layer_norm.wgsl?raw';
import library from '../../shaders/lib_fixed_point.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, codeWords } from './codes.ts';
import { int16Words } from './int16.ts';
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
  },
  overrides: { WORKGROUP_SIZE: 32, FORM: 0 },
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
  /** Inclusive bounds of the codes. Default -128 and 127. */
  readonly qmin?: number;
  readonly qmax?: number;
}

/**
 * Prepares the integer LayerNorm of 16-bit rows into the left operand of a product (METHOD: integer-only inference).
 *
 * @param buffers.x u32, int16 two a word, rows at `xOffset` and `xRowStride`
 * @param buffers.gain i32 `[features][2]` of `layerNormConstants`
 * @param buffers.bias i32 `[features]` of `layerNormConstants`
 * @param buffers.y u32 `[rows][ceil(features / 4)]` codes
 * @throws RangeError on a bad size, more than 4096 features, bounds outside 8 bits or a buffer too small
 */
export async function intLayerNorm(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof intLayerNormKernel.bindings, Bindable>>,
  params: IntLayerNormParams,
): Promise<Dispatch> {
  const { rows, features, form, epsilon, xOffset = 0, qmin = -128, qmax = 127 } = params;
  checkIntegers({ rows }, 1);
  checkFeatures(features);
  const { xRowStride = int16Words(features) } = params;
  checkIntegers({ epsilon, xOffset, xRowStride }, 0);
  if (epsilon >= 2 ** 53) throw new RangeError(`epsilon must be below 2^53, got ${epsilon}`);
  if (!(-128 <= qmin && qmin <= qmax && qmax <= 127)) {
    throw new RangeError(`qmin ${qmin} and qmax ${qmax} must be ordered integers in -128..127`);
  }
  checkRoom('x', buffers.x, xOffset + (rows - 1) * xRowStride + int16Words(features));
  checkRoom('gain', buffers.gain, 2 * features);
  checkRoom('bias', buffers.bias, features);
  checkRoom('y', buffers.y, rows * codeWords(features));
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
    },
    gridFor(device, rows, intLayerNormKernel.overrides.WORKGROUP_SIZE),
    { FORM: form === 'published' ? 1 : 0 },
  );
}
