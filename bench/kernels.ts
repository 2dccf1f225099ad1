/**
 * Times the integer products against the float one, on the adapter of this machine, at the layers of DeiT-Tiny with 8 images.
 * One JSON line a measurement: median and quartiles of repeated submits in ms, GOP/s (2 operations a multiply-accumulate), how
 * many times the float kernel's speed that is, and the error against the reference. The kernels of a shape run alternately, so
 * load on the machine meets all of them; processor time, which means something only where the driver is software, does not see
 * other load. Run it after a build with `node dist/bench/kernels.js`; an argument keeps only the shapes whose name contains it.
 */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { BufferPool, type BufferScope, type NumericArray } from '../src/gpu/buffers.ts';
import { record, release, type Dispatch } from '../src/gpu/kernel.ts';
import { readBytes } from '../src/gpu/readback.ts';
import { codeWords, type CodeKind } from '../src/kernels/codes.ts';
import { matmulCodes } from '../src/kernels/matmulCodes.ts';
import { denseMatrix, matmulF32 } from '../src/kernels/matmulF32.ts';
import { scoreCosine } from '../src/kernels/scoreCosine.ts';
import { scoreElementwise } from '../src/kernels/scoreElementwise.ts';
import { hasSubgroupsOfFour } from '../src/kernels/subgroups.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { matmulCodesReference } from '../src/reference/matmulCodes.ts';
import { scoreCosineReference } from '../src/reference/scoreCosine.ts';
import { scoreElementwiseReference } from '../src/reference/scoreElementwise.ts';

interface Shape {
  readonly name: string;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
}

const IMAGES = 8;
const CANDIDATES = 16;
const SHIFT = 4;
const shapes: readonly Shape[] = [
  { name: 'qkv', heads: 1, rows: 197, depth: 192, columns: 576, aKind: 'uniform' },
  { name: 'proj', heads: 1, rows: 197, depth: 192, columns: 192, aKind: 'uniform' },
  { name: 'fc1', heads: 1, rows: 197, depth: 192, columns: 768, aKind: 'uniform' },
  { name: 'fc2', heads: 1, rows: 197, depth: 768, columns: 192, aKind: 'twin-gelu' },
  { name: 'scores', heads: 3, rows: 197, depth: 64, columns: 197, aKind: 'uniform' },
  { name: 'values', heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax' },
];

/** One kernel at one shape: what to submit, and the largest error of what it wrote, relative to the largest reference value. */
interface Measured {
  readonly candidates: number;
  readonly dispatch: Dispatch;
  readonly error: () => Promise<number>;
}

/** Random bytes, of whole words, from a small fixed generator; the padding of a row is zero. */
function randomWords(rows: number, depth: number, seed: number): Uint32Array {
  const words = codeWords(depth);
  const packed = new Uint32Array(rows * words);
  const bytes = new Uint8Array(packed.buffer);
  let state = seed;
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < depth; d++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[4 * row * words + d] = state >>> 24;
    }
  }
  return packed;
}

/** The depth-major words of `matrices` random matrices. */
function randomDepthMajor(matrices: number, columns: number, depth: number, seed: number): Uint32Array {
  const words = codeWords(depth);
  const rowMajor = randomWords(matrices * columns, depth, seed);
  return Uint32Array.from(rowMajor, (_, i) => {
    const [matrix, inside] = [Math.floor(i / (words * columns)), i % (words * columns)];
    return rowMajor[(matrix * columns + (inside % columns)) * words + Math.floor(inside / columns)] as number;
  });
}

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [error, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error = Math.max(error, Math.abs((actual[i] as number) - (expected[i] as number)));
    largest = Math.max(largest, Math.abs(expected[i] as number));
  }
  return error / largest;
}

async function prepareShape(device: GPUDevice, scope: BufferScope, shape: Shape): Promise<Measured[]> {
  const { heads, rows, depth, columns, aKind } = shape;
  const words = codeWords(depth);
  const batch = IMAGES * heads;
  const matrix = rows * columns;
  const shared = heads === 1; // weights
  const upload = (data: NumericArray, label: string) => scope.upload(data, label);
  const b = randomDepthMajor(shared ? 1 : batch, columns, depth, 2);
  const view = { offset: 0, imageStride: heads * matrix, headStride: matrix, rowStride: columns };
  const scales = Float32Array.of(2 ** -16);
  const bias = new Float32Array(columns).fill(0.25);
  const product = {
    images: IMAGES,
    heads,
    rows,
    depth,
    columns,
    aKind,
    aBits: 8,
    bBatchStride: shared ? 0 : words * columns,
    scaleHeadStride: 0,
    scaleColumnStride: 0,
  };
  const a = randomWords(CANDIDATES * batch * rows, depth, 1);
  const operands = {
    a: upload(a, 'a'),
    b: upload(b, 'b'),
    scales: upload(scales, 'scales'),
    bias: upload(bias, 'bias'),
  };
  const reference = (images: number) =>
    matmulCodesReference(a, b, { kind: aKind, bits: 8, shift: SHIFT, ...product, batch: images * heads });

  const f32a = Float32Array.from({ length: batch * rows * depth }, (_, i) => ((i * 7919) % 255) / 255 - 0.5);
  const f32b = Float32Array.from(
    { length: (shared ? 1 : batch) * depth * columns },
    (_, i) => ((i * 104729) % 251) / 251,
  );
  const c = scope.acquire(4 * batch * matrix, 'c');
  const oneB = shared ? { outerStride: 0, innerStride: 0 } : {};
  const f32: Measured = {
    candidates: 1,
    dispatch: await matmulF32(
      device,
      { a: upload(f32a, 'f32 a'), b: upload(f32b, 'f32 b'), bias: null, c },
      {
        rows,
        columns,
        depth,
        heads,
        images: IMAGES,
        a: denseMatrix(rows, depth, heads),
        b: { ...denseMatrix(depth, columns, heads), ...oneB },
        c: denseMatrix(rows, columns, heads),
      },
    ),
    error: async () => {
      const expected = Float64Array.from({ length: columns }, (_, column) => {
        let sum = 0;
        for (let d = 0; d < depth; d++) sum += (f32a[d] as number) * (f32b[d * columns + column] as number);
        return sum;
      });
      return largestError(new Float32Array(await readBytes(device, c, 4 * columns)), expected);
    },
  };

  const y = scope.acquire(4 * batch * matrix, 'y');
  const codes: Measured = {
    candidates: 1,
    dispatch: await matmulCodes(
      device,
      { ...operands, y },
      { ...product, shift: aKind === 'uniform' ? 0 : SHIFT, output: view, outputType: 'i32' },
    ),
    error: async () => largestError(new Int32Array(await readBytes(device, y, 4 * heads * matrix)), reference(1)),
  };

  // The float output: candidate 0 with an error of a few per cent.
  const target = Float32Array.from(reference(IMAGES), (sum, i) => sum * 2 ** -16 + 0.25 + 0.01 * ((i % 13) - 6));
  const gradient = Float32Array.from({ length: batch * matrix }, (_, i) => ((i * 31) % 17) / 17 - 0.4);
  const shifts = new Uint32Array(CANDIDATES).fill(SHIFT);
  const scored = {
    y: upload(target, 'target'),
    gradient: upload(gradient, 'gradient'),
    shifts: upload(shifts, 'shifts'),
  };
  const score = async (candidates: number, variant: 'plain' | 'subgroups'): Promise<Measured> => {
    const partialCount = batch * Math.ceil(rows / 32) * columns;
    const partials = scope.acquire(4 * candidates * partialCount, 'partials');
    const params = {
      ...product,
      candidates,
      aCandidateStride: batch * rows * words,
      bCandidateStride: 0,
      scaleCandidateStride: 0,
      y: view,
      gradient: view,
      metric: 'hessian' as const,
      variant,
    };
    return {
      candidates,
      dispatch: await scoreElementwise(device, { ...operands, ...scored, partials }, params),
      error: async () => {
        const data = { a, b, scales, bias, y: target, gradient, shifts };
        const expected = scoreElementwiseReference(data, { ...params, candidates: 1, images: 1 });
        return largestError(new Float32Array(await readBytes(device, partials, 4 * expected.length)), expected);
      },
    };
  };
  const cosine = async (candidates: number, variant: 'plain' | 'subgroups'): Promise<Measured> => {
    const parts = shape.name === 'qkv' ? 3 : 1;
    const cosines = scope.acquire(4 * candidates * batch * rows * parts, 'cosines');
    const params = {
      ...product,
      candidates,
      aCandidateStride: batch * rows * words,
      bCandidateStride: 0,
      scaleCandidateStride: 0,
      y: view,
      parts,
      variant,
    };
    return {
      candidates,
      dispatch: await scoreCosine(device, { ...operands, ...scored, cosines }, params),
      error: async () => {
        const data = { a, b, scales, bias, y: target, shifts };
        const expected = scoreCosineReference(data, { ...params, candidates: 1, images: 1 });
        return largestError(new Float32Array(await readBytes(device, cosines, 4 * expected.length)), expected);
      },
    };
  };
  const scores = [await score(1, 'plain'), await score(CANDIDATES, 'plain'), await cosine(CANDIDATES, 'plain')];
  if (hasSubgroupsOfFour(device)) {
    scores.push(await score(1, 'subgroups'), await score(CANDIDATES, 'subgroups'));
    scores.push(await cosine(CANDIDATES, 'subgroups'));
  }
  return [f32, codes, ...scores];
}

/** Time of one submit in ms: on the clock, and of all threads of this process (a software driver computes in them). */
interface Times {
  readonly wallMs: number[];
  readonly processorMs: number[];
}

/** Times in ascending order, alternating between the kernels: at least 5 rounds, at most 31, about 4 s. */
async function time(device: GPUDevice, measured: readonly Measured[]): Promise<Times[]> {
  const times = measured.map((): Times => ({ wallMs: [], processorMs: [] }));
  const once = async ({ dispatch }: Measured, { wallMs, processorMs }: Times) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    record(pass, dispatch);
    pass.end();
    const start = performance.now();
    const usage = process.cpuUsage();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    wallMs.push(performance.now() - start);
    const { user, system } = process.cpuUsage(usage);
    processorMs.push((user + system) / 1000);
  };
  for (const each of measured) await once(each, { wallMs: [], processorMs: [] }); // compiles
  const start = performance.now();
  for (let round = 0; round < 31 && (round < 5 || performance.now() - start < 4000); round++) {
    for (const [i, each] of measured.entries()) await once(each, times[i] as Times);
  }
  for (const { wallMs, processorMs } of times) for (const list of [wallMs, processorMs]) list.sort((x, y) => x - y);
  return times;
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.round(share * (sorted.length - 1))] as number;
const rounded = (x: number, digits = 3) => Number(x.toPrecision(digits));

function commit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return undefined; // not a checkout
  }
}

async function benchShape(device: GPUDevice, pool: BufferPool, shape: Shape, about: object): Promise<void> {
  const scope = pool.scope();
  const measured = await prepareShape(device, scope, shape);
  const times = await time(device, measured);
  const operations = 2 * IMAGES * shape.heads * shape.rows * shape.depth * shape.columns;
  const speed = (i: number, of: keyof Times) =>
    ((measured[i] as Measured).candidates * operations) / quantile((times[i] as Times)[of], 0.5) / 1e6;
  for (const [i, { candidates, error, dispatch }] of measured.entries()) {
    const { wallMs, processorMs } = times[i] as Times;
    const line = {
      kernel: dispatch.name,
      layer: shape.name,
      shape: `${IMAGES * shape.heads}x${shape.rows}x${shape.depth}x${shape.columns}`,
      codes: i === 0 ? undefined : shape.aKind,
      candidates,
      rounds: wallMs.length,
      medianMs: rounded(quantile(wallMs, 0.5)),
      quartilesMs: [rounded(quantile(wallMs, 0.25)), rounded(quantile(wallMs, 0.75))],
      gops: rounded(speed(i, 'wallMs')),
      timesF32: rounded(speed(i, 'wallMs') / speed(0, 'wallMs')),
      processorMs: rounded(quantile(processorMs, 0.5)),
      timesF32Processor: rounded(speed(i, 'processorMs') / speed(0, 'processorMs')),
      relativeError: rounded(await error(), 2),
      ...about,
    };
    console.log(JSON.stringify(line));
    release(dispatch);
  }
  scope.release();
  device.queue.submit([]); // Dawn frees at a submit
}

async function main(filter = ''): Promise<void> {
  const { gpu, close } = await openNodeGpu();
  try {
    const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
    const { description, vendor, software } = gpu.adapter;
    const about = {
      adapter: description || vendor,
      software,
      node: process.versions.node,
      webgpu: version,
      commit: commit(),
    };
    using pool = new BufferPool(gpu.device);
    for (const shape of shapes) if (shape.name.includes(filter)) await benchShape(gpu.device, pool, shape, about);
    gpu.check();
  } finally {
    close();
  }
}

await main(process.argv[2]);
