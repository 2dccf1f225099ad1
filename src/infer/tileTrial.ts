import { BufferPool } from '../gpu/buffers.ts';
import { record, release, submit, type Dispatch } from '../gpu/kernel.ts';
import { readBytes } from '../gpu/readback.ts';
import type { CodeKind } from '../kernels/codes.ts';
import { dyadic, packDyadics } from '../kernels/dyadic.ts';
import { matmulRequantize, type MatmulRequantizeParams } from '../kernels/matmulRequantize.ts';
import type { MatmulVariant } from '../kernels/matmulVariant.ts';
import { denseOutput, outputExtent, type DenseLayout, type RequantizedType } from '../kernels/requantizedLayout.ts';
import { matmulRequantizeReference } from '../reference/matmulRequantize.ts';

/** More than one tile of every variant along rows, less than one along columns, and a tail in rows, depth and columns; two planes. */
const CHECKED = { images: 2, heads: 1, rows: 21, depth: 23, planes: 2, columns: 71 } as const;

const LAYOUT_OF: Readonly<Record<RequantizedType, DenseLayout>> = {
  codes: 'left',
  'codes-by-rows': 'right',
  int16: 'int16',
  int32: 'int32',
};

type Sizes = Readonly<Record<'images' | 'heads' | 'rows' | 'depth' | 'columns', number>> & { readonly planes?: 1 | 2 };

/** Operands of arbitrary words; equal calls give equal words. */
function operands({ images, heads, rows, depth, planes = 1, columns }: Sizes, type: RequantizedType) {
  const words = Math.ceil(depth / 4);
  const arbitrary = (count: number, seed: number) =>
    Uint32Array.from(
      { length: count },
      (_, i) => Math.imul(Math.imul(i + seed, 0x9e3779b1) ^ (i >>> 3), 0x85ebca6b) >>> 0,
    );
  const last = 0xffffffff >>> (8 * (4 * words - depth)); // codes past the depth are 0
  const ratios = Array.from({ length: columns }, (_, i) =>
    dyadic((1 + (i % 7)) * (type === 'int16' ? 1e-3 : 1e-5), type === 'int16' ? 'int16' : 8),
  );
  return {
    a: arbitrary(images * heads * rows * planes * words, 1).map((word, i) =>
      i % words === words - 1 ? (word & last) >>> 0 : word,
    ),
    b: arbitrary(words * columns, 2),
    bias: Int32Array.from({ length: columns }, (_, i) => 1000 * (i - 30)),
    rescale: type === 'int32' ? null : packDyadics(ratios),
    residual: null,
  };
}

function paramsOf(sizes: Sizes, kind: CodeKind, type: RequantizedType): MatmulRequantizeParams {
  const shift = kind === 'uniform' ? 0 : 3;
  return { ...sizes, aKind: kind, aBits: 8, shift, output: denseOutput(LAYOUT_OF[type], sizes) };
}

/** Uploads operands, prepares `variant` and gives the dispatch and its result to `use`. */
async function withProduct<T>(
  device: GPUDevice,
  params: MatmulRequantizeParams,
  use: (dispatch: Dispatch, y: GPUBuffer) => Promise<T>,
): Promise<T> {
  using pool = new BufferPool(device);
  const { a, b, bias, rescale, residual } = operands(params, params.output.type);
  const buffers = {
    a: pool.upload(a, 'trial a'),
    b: pool.upload(b, 'trial b'),
    bias: pool.upload(bias, 'trial bias'),
    rescale: rescale && pool.upload(rescale, 'trial rescale'),
    residual,
    y: pool.zeros(4 * outputExtent(params.output, params), 'trial result'),
  };
  return await use(await matmulRequantize(device, buffers, params), buffers.y); // the pool lives until then
}

/** Whether `variant` gives the words of the reference on a small product with tails everywhere. */
export async function checkTile(
  device: GPUDevice,
  variant: MatmulVariant,
  kind: CodeKind,
  type: RequantizedType,
): Promise<boolean> {
  const params = paramsOf(CHECKED, kind, type);
  const expected = new Uint32Array(outputExtent(params.output, params));
  matmulRequantizeReference({ ...operands(CHECKED, type), y: expected }, params);
  return withProduct(device, { ...params, variant }, async (dispatch, y) => {
    submit(device, [dispatch]);
    const got = new Uint32Array(await readBytes(device, y, 4 * expected.length));
    return expected.every((word, i) => word === got[i]);
  });
}

/** Repeated runs are timed together until they last this long. */
const LEAST_MS = 2;
const MOST_REPEATS = 64;

/** Milliseconds of one product in `variant`: the best of a few runs on the wall clock, compilation apart. */
export async function timeTile(
  device: GPUDevice,
  variant: MatmulVariant,
  sizes: Sizes,
  kind: CodeKind,
  type: RequantizedType,
): Promise<number> {
  return withProduct(device, { ...paramsOf(sizes, kind, type), variant }, async (dispatch) => {
    const run = async (repeats: number) => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < repeats; i++) record(pass, dispatch);
      pass.end();
      const start = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return (performance.now() - start) / repeats;
    };
    try {
      await run(1); // drivers compile at the first dispatch
      let repeats = 1;
      let best = await run(1);
      while (best * repeats < LEAST_MS && repeats < MOST_REPEATS) best = await run((repeats *= 4));
      for (let i = 0; i < 2; i++) best = Math.min(best, await run(repeats));
      return best;
    } finally {
      release(dispatch);
    }
  });
}
