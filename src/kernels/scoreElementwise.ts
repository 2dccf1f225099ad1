import codes from '../../shaders/lib_codes.wgsl?raw';
import body from '../../shaders/score_elementwise.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import {
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
import { scoreElementwiseSubgroupsKernel } from './scoreElementwiseSubgroups.ts';
import { hasSubgroupsOfFour } from './subgroups.ts';

/** Rows whose errors are summed on the device; larger sums are combined in index order. A constant of the method. */
export const ROWS_PER_GROUP = 32;

export const scoreElementwiseKernel = {
  ...scoreElementwiseSubgroupsKernel,
  name: 'score_elementwise',
  wgsl: `${body}\n${codes}`,
} as const satisfies Kernel;

export interface ScoreBuffers {
  /** u32 `[images * heads][rows][words]` of a candidate, row-major codes. */
  readonly a: GPUBuffer;
  /** u32 `[images * heads or 1][words][columns]` of a candidate, depth-major signed codes. */
  readonly b: GPUBuffer;
  /** f32, index `candidate * scaleCandidateStride + head * scaleHeadStride + column * scaleColumnStride`. */
  readonly scales: GPUBuffer;
  /** f32 `[columns]` or none. */
  readonly bias: GPUBuffer | null;
  /** f32, the float output at the view `y`. */
  readonly y: GPUBuffer;
  /** u32 `[candidates]`, twin shifts; null for uniform codes. Each must keep `accumulatorBound` below 2^31. */
  readonly shifts: GPUBuffer | null;
}

/** What every score kernel needs to know of a product of candidates. */
export interface ScoreParams {
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
  /** Width of a code of A, flag included. */
  readonly aBits: number;
  /** Words between the A codes of two candidates; 0: one A for all. */
  readonly aCandidateStride: number;
  /** Words between the B codes of two candidates; 0: one B for all. */
  readonly bCandidateStride: number;
  /** Words between the B of two batch entries: `words * columns`, or 0 when all share one. */
  readonly bBatchStride: number;
  readonly scaleCandidateStride: number;
  readonly scaleHeadStride: number;
  readonly scaleColumnStride: number;
  /** Where the float output lies; its columns are adjacent. */
  readonly y: RowView;
}

/** METRIC of the shader. */
const ELEMENTWISE_METRIC = {
  mse: 0,
  hessian: 1,
  l1: 2,
  'linear-weighted-mse': 3,
  'square-weighted-mse': 4,
} as const;

/** Errors that add up element by element, so that columns and rows can be summed in any groups. */
export type ElementwiseMetric = keyof typeof ELEMENTWISE_METRIC;

export interface ScoreElementwiseBuffers extends ScoreBuffers {
  /** f32, dL/dy at the view `gradient`; null with metrics other than `hessian`. */
  readonly gradient: GPUBuffer | null;
  /** f32 `[candidates][images * heads][ceil(rows / 32)][columns]`, written. */
  readonly partials: GPUBuffer;
}

export interface ScoreElementwiseParams extends ScoreParams {
  readonly metric: ElementwiseMetric;
  /** Where the gradient lies; read with metric `hessian` only. */
  readonly gradient?: RowView;
  /** Lanes of a workgroup; the result does not depend on it. */
  readonly lanes?: 16 | 32;
  /** Which shader runs; both give the same bits. Default: `subgroups` where the device has them. */
  readonly variant?: 'plain' | 'subgroups';
}

/**
 * Prepares the weighted errors of a batch of candidates, summed over fixed groups of 32 rows (PTQ4ViT, equation 7).
 *
 * @throws RangeError on a bad count, a missing gradient or shift, or a buffer too small
 */
export async function scoreElementwise(
  device: GPUDevice,
  buffers: ScoreElementwiseBuffers,
  params: ScoreElementwiseParams,
): Promise<Dispatch> {
  const { candidates, images, heads, rows, columns, metric, aKind, aBits, lanes = lanesFor(columns) } = params;
  const { variant = hasSubgroupsOfFour(device) ? 'subgroups' : 'plain' } = params;
  if (variant === 'subgroups' && !hasSubgroupsOfFour(device)) {
    throw new RangeError(`variant subgroups needs them of at least 4 lanes, got ${device.adapterInfo.subgroupMinSize}`);
  }
  checkScore(buffers, params);
  const { a, b, scales, bias, y, gradient, shifts, partials } = buffers;
  const view = metric === 'hessian' ? params.gradient : params.y;
  if (metric === 'hessian' && (!gradient || !view))
    throw new RangeError('metric hessian needs a gradient and its view');
  const gradientView = view ?? params.y;
  checkIntegers({ ...gradientView }, 0);
  if (gradient) checkRoom('gradient', gradient, viewExtent(gradientView, images, heads, rows, columns));
  const groups = Math.ceil(rows / ROWS_PER_GROUP);
  checkRoom('partials', partials, candidates * images * heads * groups * columns);
  const workgroups = candidates * images * heads * groups * Math.ceil(columns / (4 * lanes));
  return prepare(
    device,
    variant === 'subgroups' ? scoreElementwiseSubgroupsKernel : scoreElementwiseKernel,
    { a, b, scales, bias: bias ?? scales, y, gradient: gradient ?? y, shifts: shifts ?? scales, partials },
    {
      ...scoreUniforms(params, bias !== null),
      gradient_offset: gradientView.offset,
      gradient_image_stride: gradientView.imageStride,
      gradient_head_stride: gradientView.headStride,
      gradient_row_stride: gradientView.rowStride,
    },
    gridFor(device, workgroups, 1),
    { WX: lanes, A_KIND: CODE_KIND[aKind], A_BITS: aBits, METRIC: ELEMENTWISE_METRIC[metric] },
  );
}

/** The uniform fields that all score kernels begin with. */
export function scoreUniforms(params: ScoreParams, hasBias: boolean) {
  return {
    candidates: params.candidates,
    images: params.images,
    heads: params.heads,
    rows: params.rows,
    depth: params.depth,
    columns: params.columns,
    a_candidate_stride: params.aCandidateStride,
    b_candidate_stride: params.bCandidateStride,
    b_batch_stride: params.bBatchStride,
    scale_candidate_stride: params.scaleCandidateStride,
    scale_head_stride: params.scaleHeadStride,
    scale_column_stride: params.scaleColumnStride,
    has_bias: hasBias ? 1 : 0,
    y_offset: params.y.offset,
    y_image_stride: params.y.imageStride,
    y_head_stride: params.y.headStride,
    y_row_stride: params.y.rowStride,
  };
}

/** Checks what all score kernels share: counts, strides and the room of their inputs. */
export function checkScore({ a, b, scales, bias, y, shifts }: ScoreBuffers, params: ScoreParams): void {
  const { candidates, images, heads, rows, depth, columns, aKind, aBits } = params;
  const { aCandidateStride, bCandidateStride, bBatchStride } = params;
  const { scaleCandidateStride, scaleHeadStride, scaleColumnStride } = params;
  checkBits(aBits);
  checkIntegers({ candidates, images, heads, rows, depth, columns }, 1);
  checkIntegers({ aCandidateStride, bCandidateStride, bBatchStride }, 0);
  checkIntegers({ scaleCandidateStride, scaleHeadStride, scaleColumnStride, ...params.y }, 0);
  const words = codeWords(depth);
  const batch = images * heads;
  const lastCandidate = candidates - 1;
  checkRoom('a', a, lastCandidate * aCandidateStride + batch * rows * words);
  checkRoom('b', b, lastCandidate * bCandidateStride + (batch - 1) * bBatchStride + words * columns);
  const lastScale =
    lastCandidate * scaleCandidateStride + (heads - 1) * scaleHeadStride + (columns - 1) * scaleColumnStride;
  checkRoom('scales', scales, lastScale + 1);
  if (bias) checkRoom('bias', bias, columns);
  checkRoom('y', y, viewExtent(params.y, images, heads, rows, columns));
  if (aKind !== 'uniform' && !shifts) throw new RangeError(`codes of kind ${aKind} need the shifts of the candidates`);
  if (shifts) checkRoom('shifts', shifts, candidates);
}
