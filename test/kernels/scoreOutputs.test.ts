import { expect, test } from 'vitest';
import { scoreOutputs, type ScoreOutputsParams } from '../../src/kernels/scoreOutputs.ts';
import { scoreOutputsReference } from '../../src/reference/scoreOutputs.ts';
import { random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();
const metrics = ['mse', 'hessian', 'l1', 'linear-weighted-mse', 'square-weighted-mse', 'cosine', 'pearson'] as const;

async function run(
  outputs: Float32Array,
  y: Float32Array,
  gradient: Float32Array | null,
  params: ScoreOutputsParams,
): Promise<Float32Array> {
  const { pool, device } = shared;
  const buffers = { outputs: uploadInJunk(pool, outputs, 'outputs'), y: uploadInJunk(pool, y, 'y') };
  const slope = gradient && uploadInJunk(pool, gradient, 'gradient');
  try {
    const count = params.candidates * params.images * params.heads * Math.ceil(params.rows / 32) * params.parts;
    const bytes = await runInto(pool, count, async (partials) => [
      await scoreOutputs(device, { ...buffers, gradient: slope, partials }, params),
    ]);
    return new Float32Array(bytes);
  } finally {
    [...Object.values(buffers), ...(slope ? [slope] : [])].forEach((buffer) => pool.release(buffer));
  }
}

/** Token-major outputs with an offset and candidates that are off by a tenth; 1e9 outside the view. */
function problem(images: number, heads: number, rows: number, columns: number, parts: number) {
  const rowStride = heads * columns + 3;
  const view = { offset: 5, imageStride: rows * rowStride + 2, headStride: columns, rowStride };
  const next = random(rows + columns);
  const y = new Float32Array(view.offset + images * view.imageStride).fill(1e9);
  const candidates = 2;
  const outputs = new Float32Array(candidates * images * heads * rows * columns);
  for (let i = 0; i < outputs.length; i++) {
    const column = i % columns;
    const row = Math.floor(i / columns) % rows;
    const batch = Math.floor(i / columns / rows) % (images * heads);
    const at =
      view.offset +
      Math.floor(batch / heads) * view.imageStride +
      (batch % heads) * view.headStride +
      row * rowStride +
      column;
    if (i < outputs.length / 2) y[at] = i % 401 === 11 ? 215 : 0.5 + 4 * (next() - 0.5);
    outputs[i] = (y[at] as number) + 0.2 * (next() - 0.5);
  }
  const gradient = y.map((value) => (value === 1e9 ? value : next() - 0.5));
  return { outputs, y, gradient, params: { candidates, images, heads, rows, columns, parts, y: view } };
}

const shapes = [
  [1, 1, 1, 1, 1],
  [1, 2, 3, 4, 1],
  [2, 1, 5, 255, 3],
  [1, 1, 257, 5, 5],
  [2, 3, 197, 64, 1],
  [1, 1, 33, 192, 192],
] as const;

test.each(metrics.flatMap((metric) => shapes.map((shape) => [metric, ...shape] as const)))(
  '%s: %i images, %i heads, %i rows, %i columns in %i parts',
  async (metric, images, heads, rows, columns, parts) => {
    const { outputs, y, gradient, params } = problem(images, heads, rows, columns, parts);
    const expected = scoreOutputsReference(outputs, y, gradient, { ...params, metric });
    const actual = await run(outputs, y, gradient, { ...params, metric });
    const similarity = metric === 'cosine' || metric === 'pearson';
    expected.forEach((value, i) => {
      const bound = similarity ? 32 * 4e-6 : 1e-5 * value;
      expect(Math.abs((actual[i] as number) - value), `partial ${i}: ${actual[i]}, ${value}`).toBeLessThanOrEqual(
        bound,
      );
    });
  },
);

test('refuses what it cannot do, with the number', async () => {
  const { outputs, y, params } = problem(1, 1, 3, 4, 1);
  const refused = (changed: Partial<ScoreOutputsParams>) =>
    expect(run(outputs, y, null, { ...params, metric: 'mse', ...changed })).rejects;
  await refused({ parts: 3 }).toThrow('4 columns do not divide into 3 equal parts');
  await refused({ metric: 'hessian' }).toThrow('needs a gradient');
  await refused({ rows: 200 }).toThrow('outputs needs');
});
