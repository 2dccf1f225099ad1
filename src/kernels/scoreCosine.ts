import codes from '../../shaders/lib_codes.wgsl?raw';
import body from '../../shaders/score_cosine.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkIntegers, checkRoom, CODE_KIND, lanesFor } from './codes.ts';
import { scoreCosineSubgroupsKernel } from './scoreCosineSubgroups.ts';
import { checkScore, scoreUniforms, type ScoreBuffers, type ScoreParams } from './scoreElementwise.ts';
import { hasSubgroupsOfFour } from './subgroups.ts';

export const scoreCosineKernel = {
  ...scoreCosineSubgroupsKernel,
  name: 'score_cosine',
  wgsl: `${body}\n${codes}`,
} as const satisfies Kernel;

/** Similarities of whole rows: 1 for rows that are the same up to a factor, and with `pearson` an offset. */
export type RowMetric = 'cosine' | 'pearson';

export interface ScoreCosineBuffers extends ScoreBuffers {
  /** f32 `[candidates][images * heads][rows][parts]`, written. */
  readonly cosines: GPUBuffer;
}

export interface ScoreCosineParams extends ScoreParams {
  /** Equal parts of the columns, each with a cosine of its own: 3 for q, k, v apart. */
  readonly parts: number;
  /** `pearson` takes the mean of a part off both sides first. */
  readonly metric?: RowMetric;
  /** Lanes of a workgroup; the result does not depend on it. */
  readonly lanes?: 16 | 32;
  /** Which shader runs; both give the same bits. Default: `subgroups` where the device has them. */
  readonly variant?: 'plain' | 'subgroups';
}

/**
 * Prepares the cosine similarity of each row of a batch of candidates with the float output (the metric of Base PTQ), with the
 * meaning of `torch.nn.functional.cosine_similarity`, of the rows as they are or less their means (PTQ4ViT, figure 5).
 *
 * @throws RangeError on a bad count, parts that do not divide the columns, missing shifts, subgroups that are not there, or a buffer too small
 */
export async function scoreCosine(
  device: GPUDevice,
  buffers: ScoreCosineBuffers,
  params: ScoreCosineParams,
): Promise<Dispatch> {
  const { candidates, images, heads, rows, columns, parts, aKind, aBits } = params;
  const { metric = 'cosine', variant = hasSubgroupsOfFour(device) ? 'subgroups' : 'plain' } = params;
  if (variant === 'subgroups' && !hasSubgroupsOfFour(device)) {
    throw new RangeError(`variant subgroups needs them of at least 4 lanes, got ${device.adapterInfo.subgroupMinSize}`);
  }
  checkScore(buffers, params);
  checkIntegers({ parts }, 1);
  if (columns % parts !== 0) throw new RangeError(`${columns} columns do not divide into ${parts} equal parts`);
  const { lanes = lanesFor(columns / parts) } = params;
  const { a, b, scales, bias, y, shifts, cosines } = buffers;
  checkRoom('cosines', cosines, candidates * images * heads * rows * parts);
  return prepare(
    device,
    variant === 'subgroups' ? scoreCosineSubgroupsKernel : scoreCosineKernel,
    { a, b, scales, bias: bias ?? scales, y, shifts: shifts ?? scales, cosines },
    { ...scoreUniforms(params, bias !== null), parts },
    gridFor(device, candidates * images * heads * Math.ceil(rows / 8) * parts, 1),
    { WX: lanes, A_KIND: CODE_KIND[aKind], A_BITS: aBits, CENTRED: metric === 'pearson' ? 1 : 0 },
  );
}
