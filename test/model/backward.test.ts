import { expect, test } from 'vitest';
import { readF32 } from '../../src/gpu/readback.ts';
import { backwardUnit, forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import type { MatrixView, Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { useGpu } from '../support/device.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();

/** A unit that no ViT has: two views of the same elements, columns that nothing reads, a sum of a tensor with itself. */
const left: MatrixView = { tensor: 'x', offset: 0, headStride: 0, rowStride: 6, columnStride: 1 };
const oddUnit = (windows: number): Unit => ({
  name: 'odd',
  input: 'x',
  output: 'y',
  elements: { x: 24 * windows, square: 16 * windows, twice: 16 * windows, y: 16 * windows },
  operations: [
    {
      kind: 'matmul',
      name: 'odd.square',
      a: left,
      b: { ...left, rowStride: 1, columnStride: 6 },
      output: { tensor: 'square', offset: 0, headStride: 0, rowStride: 4, columnStride: 1 },
      windows,
      heads: 1,
      rows: 4,
      depth: 3,
      columns: 4,
      operand: 'plain',
    },
    { kind: 'add', a: 'square', b: 'square', output: 'twice', count: 16 * windows, scale: 1 },
    { kind: 'add', a: 'twice', b: 'square', output: 'y', count: 16 * windows, scale: 1 },
  ],
});

test.each([1, 3])(
  'contributions of all consumers of %i windows are added, elements without one have gradient zero',
  async (windows) => {
    const unit = oddUnit(windows);
    const [inputs, outputs] = [24 * windows, 16 * windows];
    const { device, pool } = shared;
    const images = 2;
    const model = { network: { units: [unit], numClasses: outputs }, parameters: new Map() } as unknown as Model;
    using parameters = new ParameterStore(pool, model);
    const context = { device, pool, parameters };
    const old = Array.from({ length: 12 }, (_, i) =>
      pool.upload(new Float32Array(i < 6 ? 2 * inputs : 2 * outputs).fill(1e6), 'junk'),
    );
    old.forEach((buffer) => pool.release(buffer)); // what the walk gets from the pool is full of junk
    const x = noise(inputs * images, 1);
    const dy = noise(outputs * images, 2);
    const scope = pool.scope();
    const tensors = await forwardUnit(context, unit, scope.upload(x, 'x'), images, scope);
    const gradients = await backwardUnit(context, unit, tensors, scope.upload(dy, 'dy'), images, scope);
    const dx = await readF32(device, gradients.get('x') as GPUBuffer, x.length);
    const step = 1e-4;
    for (let i = 0; i < x.length; i++) {
      const image = Math.floor(i / inputs);
      const loss = (change: number) => {
        const moved = Float64Array.from(x.subarray(inputs * image, inputs * (image + 1)));
        moved[i % inputs] = (moved[i % inputs] as number) + change;
        return doubleForward(model, moved).reduce((sum, y, j) => sum + y * (dy[outputs * image + j] as number), 0);
      };
      expect(dx[i], `element ${i}`).toBeCloseTo((loss(step) - loss(-step)) / (2 * step), 5);
      if (i % 6 >= 3) expect(dx[i]).toBe(0);
    }
    scope.release();
  },
);

test('the gradient of the input is a buffer of its own when the unit only passes it on', async () => {
  const { device, pool } = shared;
  const pass: Unit = {
    name: 'pass',
    input: 'x',
    output: 'y',
    elements: { x: 5, g: 5, y: 5 },
    operations: [
      { kind: 'gelu', name: 'gelu', input: 'x', output: 'g', count: 5 },
      { kind: 'add', a: 'x', b: 'g', output: 'y', count: 5, scale: 1 },
    ],
  };
  const only: Unit = { ...pass, operations: [{ kind: 'add', a: 'x', b: 'x', output: 'y', count: 5, scale: 1 }] };
  const first: Unit = { ...pass, operations: [{ kind: 'add', a: 'x', b: 'c', output: 'y', count: 5, scale: 1 }] };
  using parameters = new ParameterStore(pool, { parameters: new Map() });
  const context = { device, pool, parameters };
  const scope = pool.scope();
  const dy = scope.upload(Float32Array.of(1, 2, 3, 4, 5), 'dy');
  const x = scope.upload(new Float32Array(5), 'x');
  for (const [walked, slope] of [
    [pass, 1.5],
    [only, 2],
    [first, 1],
  ] as const) {
    const tensors = new Map([['x', x]]);
    const gradient = (await backwardUnit(context, walked, tensors, dy, 1, scope)).get('x') as GPUBuffer;
    expect(gradient).not.toBe(dy);
    expect([...(await readF32(device, gradient, 5))]).toEqual([1, 2, 3, 4, 5].map((v) => v * slope));
  }
  scope.release();
});
