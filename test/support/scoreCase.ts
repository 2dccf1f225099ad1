import type { BufferPool } from '../../src/gpu/buffers.ts';
import type { ScoreBuffers, ScoreParams } from '../../src/kernels/scoreElementwise.ts';
import { packDepthMajor, packRowMajor } from '../../src/reference/codes.ts';
import { candidateOutput, type ScoreData } from '../../src/reference/scoreElementwise.ts';
import { random, randomCodes, randomTwinCodes, uploadInJunk } from './codes.ts';

export type ScoreView = ScoreParams['y'];

export interface ScoreCase {
  readonly params: ScoreParams;
  readonly gradientView: ScoreView;
  readonly data: ScoreData & { readonly gradient: Float32Array };
  /** Largest |y|: an output's roundings are relative to it. */
  readonly largest: number;
}

export type ScoreCaseShape = Partial<ScoreParams> &
  Pick<ScoreParams, 'rows' | 'depth' | 'columns'> & {
    readonly candidatesDifferIn?: 'a' | 'b' | 'both';
    readonly sharedB?: boolean;
    readonly seed?: number;
    /** Largest twin shift of a candidate. */
    readonly maxShift?: number;
  };

/**
 * A product of candidates whose float output is candidate 0 plus an error of a few per cent, as quantization leaves, with a bias, a
 * scale per head and column, outliers, and views inside longer tensors: y token-major over heads, the gradient head-major.
 */
export function scoreCase(shape: ScoreCaseShape): ScoreCase {
  const { candidatesDifferIn = 'both', sharedB = false, seed = 1, maxShift = 5, ...rest } = shape;
  const { candidates = 1, images = 1, heads = 1, rows, depth, columns, aKind = 'uniform', aBits = 8 } = rest;
  const next = random(seed);
  const words = Math.ceil(depth / 4);
  const batch = images * heads;
  const copiesA = candidatesDifferIn === 'b' ? 1 : candidates;
  const copiesB = candidatesDifferIn === 'a' ? 1 : candidates;
  const batchB = sharedB ? 1 : batch;
  const makeA = aKind === 'uniform' ? randomCodes : randomTwinCodes;
  const rowWidth = heads * columns + 3;
  const params: ScoreParams = {
    candidates,
    images,
    heads,
    aKind,
    aBits,
    aCandidateStride: copiesA === 1 ? 0 : batch * rows * words,
    bCandidateStride: copiesB === 1 ? 0 : batchB * words * columns,
    bBatchStride: sharedB ? 0 : words * columns,
    scaleCandidateStride: heads * columns,
    scaleHeadStride: columns,
    scaleColumnStride: 1,
    y: { offset: 5, imageStride: rows * rowWidth, headStride: columns, rowStride: rowWidth },
    ...rest,
  };
  const gradientView: ScoreView = {
    offset: 2,
    imageStride: heads * rows * columns + 1,
    headStride: rows * columns,
    rowStride: columns,
  };
  const scales = Float32Array.from(
    { length: (candidates - 1) * params.scaleCandidateStride + heads * columns },
    () => 0.001 * (0.5 + next()),
  );
  const data = {
    a: packRowMajor(makeA(copiesA * batch * rows * depth, aBits, next), rows, depth),
    b: packDepthMajor(randomCodes(copiesB * batchB * columns * depth, 8, next), columns, depth),
    scales,
    bias: Float32Array.from({ length: columns }, () => next() - 0.5),
    shifts: Uint32Array.from({ length: candidates }, () => Math.floor(next() * (maxShift + 1))),
    y: new Float32Array(params.y.offset + images * params.y.imageStride).fill(1e6),
    gradient: new Float32Array(gradientView.offset + images * gradientView.imageStride).fill(1e6),
  };
  const output = candidateOutput(data, params, 0);
  const deviation = Math.sqrt(output.reduce((sum, x) => sum + x * x, 0) / output.length) || 1;
  let largest = 0;
  output.forEach((value, i) => {
    const column = i % columns;
    const row = Math.floor(i / columns) % rows;
    const entry = Math.floor(i / (rows * columns));
    const [image, head] = [Math.floor(entry / heads), entry % heads];
    const { y } = params;
    const at = y.offset + image * y.imageStride + head * y.headStride + row * y.rowStride + column;
    data.y[at] = value + deviation * 0.1 * (next() - 0.5) + (i % 997 === 11 ? 43 * deviation : 0); // 215 at deviation 5
    largest = Math.max(largest, Math.abs(data.y[at]), Math.abs(value));
    const g = gradientView.offset + image * gradientView.imageStride + head * gradientView.headStride;
    data.gradient[g + row * gradientView.rowStride + column] = 2 * next() - 1;
  });
  return { params, gradientView, data, largest };
}

/** Uploads a case with junk behind every operand; `release` gives all buffers back. */
export function uploadScoreCase(
  pool: BufferPool,
  { data, params }: ScoreCase,
): { buffers: ScoreBuffers; gradient: GPUBuffer; release: () => void } {
  const upload = (values: Float32Array | Uint32Array, label: string) => uploadInJunk(pool, values, label);
  const buffers = {
    a: upload(data.a, 'a'),
    b: upload(data.b, 'b'),
    scales: upload(data.scales, 'scales'),
    bias: data.bias && upload(data.bias, 'bias'),
    y: upload(data.y, 'y'),
    shifts: data.shifts && params.aKind !== 'uniform' ? upload(data.shifts, 'shifts') : null,
  };
  const gradient = upload(data.gradient, 'gradient');
  const release = () => {
    for (const buffer of [...Object.values(buffers), gradient]) if (buffer) pool.release(buffer);
  };
  return { buffers, gradient, release };
}
