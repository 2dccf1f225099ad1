import wgsl from '../../shaders/score_cosine.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, CODE_KIND } from './codes.ts';
import { checkScore, scoreUniforms, type ScoreBuffers, type ScoreParams } from './scoreElementwise.ts';

export const scoreCosineKernel = {
  name: 'score_cosine',
  wgsl,
  bindings: { a: 'read', b: 'read', scales: 'read', bias: 'read', y: 'read', shifts: 'read', cosines: 'read_write' },
  params: {
    candidates: 'u32',
    images: 'u32',
    heads: 'u32',
    rows: 'u32',
    depth: 'u32',
    columns: 'u32',
    a_candidate_stride: 'u32',
    b_candidate_stride: 'u32',
    b_batch_stride: 'u32',
    scale_candidate_stride: 'u32',
    scale_head_stride: 'u32',
    scale_column_stride: 'u32',
    has_bias: 'u32',
    y_offset: 'u32',
    y_image_stride: 'u32',
    y_head_stride: 'u32',
    y_row_stride: 'u32',
    parts: 'u32',
  },
  overrides: { A_KIND: 0, A_BITS: 8 },
} as const satisfies Kernel;

export interface ScoreCosineBuffers extends ScoreBuffers {
  /** f32 `[candidates][images * heads][rows][parts]`, written. */
  readonly cosines: GPUBuffer;
}

export interface ScoreCosineParams extends ScoreParams {
  /** Equal parts of the columns, each with a cosine of its own: 3 for q, k, v apart. */
  readonly parts: number;
}

/**
 * Prepares the cosine similarity of each row of a batch of candidates with the float output (the metric of Base PTQ), with the
 * meaning of `torch.nn.functional.cosine_similarity`.
 *
 * @throws RangeError on a bad count, parts that do not divide the columns, missing shifts, or a buffer too small
 */
export async function scoreCosine(
  device: GPUDevice,
  buffers: ScoreCosineBuffers,
  params: ScoreCosineParams,
): Promise<Dispatch> {
  const { candidates, images, heads, rows, columns, parts, aKind, aBits } = params;
  checkScore(buffers, params);
  checkIntegers({ parts }, 1);
  if (columns % parts !== 0) throw new RangeError(`${columns} columns do not divide into ${parts} equal parts`);
  const { a, b, scales, bias, y, shifts, cosines } = buffers;
  checkRoom('cosines', cosines, candidates * images * heads * rows * parts);
  return prepare(
    device,
    scoreCosineKernel,
    { a, b, scales, bias: bias ?? scales, y, shifts: shifts ?? scales, cosines },
    { ...scoreUniforms(params, bias !== null), parts },
    gridFor(device, candidates * images * heads * Math.ceil(rows / 8) * parts, 1),
    { A_KIND: CODE_KIND[aKind], A_BITS: aBits },
  );
}
