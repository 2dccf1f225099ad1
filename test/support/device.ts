import { create, globals } from 'webgpu';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { BufferPool } from '../../src/gpu/buffers.ts';
import { openGpu, type Gpu } from '../../src/gpu/device.ts';
import { paceWaits } from '../../src/node/paceWaits.ts';

Object.assign(globalThis, globals);
paceWaits(globals);

/** One device a test file; any validation or memory error in a test fails that test. */
export function useGpu(): { readonly gpu: Gpu; readonly device: GPUDevice; readonly pool: BufferPool } {
  let instance: GPU | undefined;
  const shared = {} as { gpu: Gpu; device: GPUDevice; pool: BufferPool };
  beforeAll(async () => {
    instance = create([]);
    shared.gpu = await openGpu(instance);
    shared.device = shared.gpu.device;
    shared.pool = new BufferPool(shared.device);
  });
  beforeEach(() => {
    shared.device.pushErrorScope('out-of-memory');
    shared.device.pushErrorScope('validation');
  });
  afterEach(async () => {
    expect((await shared.device.popErrorScope())?.message).toBeUndefined();
    expect((await shared.device.popErrorScope())?.message).toBeUndefined();
    shared.gpu.check();
  });
  afterAll(() => {
    shared.pool?.destroy();
    shared.gpu?.destroy();
    instance = undefined; // node-webgpu keeps the process alive while this is referenced
  });
  return shared;
}

/** Normalised mean squared error of `actual` against `expected`: sum (a - e)^2 / sum e^2. */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i] as number;
    error += ((actual[i] as number) - e) ** 2;
    power += e ** 2;
  }
  return error / power;
}
