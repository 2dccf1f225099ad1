import { expect, test } from 'vitest';
import { UnsupportedDeviceError } from '../../src/gpu/errors.ts';
import { Arena } from '../../src/infer/arena.ts';
import type { MemoryPlan } from '../../src/infer/plan.ts';
import { useGpu } from '../support/device.ts';
import { restrictedDevice } from '../support/restrictedDevice.ts';

const context = useGpu();

const planOf = (slabs: readonly number[], scratch = 0): MemoryPlan => {
  return { images: 1, slabs, scratch, tensors: new Map([['x', { slab: 1, offset: 256, bytes: 512 }]]) };
};

test('an arena holds every plan that it once made room for', async () => {
  const arena = new Arena(context.device);
  const [wide, tall] = [planOf([256, 4096, 16]), planOf([2048, 768, 16])];
  expect(arena.holds(wide)).toBe(false);
  await arena.grow(wide);
  expect([arena.holds(wide), arena.holds(tall)]).toEqual([true, false]);
  await arena.grow(tall);
  expect([arena.holds(wide), arena.holds(tall)]).toEqual([true, true]);
  expect(arena.bytes).toBe(2048 + 4096 + 16);
  const { buffer, offset, size } = arena.slice(tall, 'x');
  expect([buffer.size, offset, size]).toEqual([4096, 256, 512]);
  expect(() => arena.slice(tall, 'y')).toThrow('the arena has no tensor y');
  arena.destroy();
  expect(arena.bytes).toBe(0);
});

test('an arena has two temporaries of their own, no larger than planned', async () => {
  const arena = new Arena(context.device);
  const plan = planOf([16, 1024, 16], 320);
  await arena.grow(plan);
  const buffers = [arena.slice(plan, 'x').buffer, arena.scratch(plan, 'a', 320), arena.scratch(plan, 'b', 4)];
  expect(new Set(buffers).size).toBe(3);
  expect(() => arena.scratch(plan, 'a', 321)).toThrow('a temporary of 321 bytes, planned are 320');
  const none = planOf([16, 1024, 16]);
  expect(() => arena.scratch(none, 'a', 4)).toThrow('planned are 0');
  arena.destroy();
});

test('an arena without memory says so and is empty', async () => {
  const arena = new Arena(restrictedDevice(context.device, { memoryForOneBuffer: 1024 }));
  await arena.grow(planOf([16, 1024, 16]));
  const refused = arena.grow(planOf([16, 2048, 16]));
  await expect(refused).rejects.toThrow(UnsupportedDeviceError);
  await expect(refused).rejects.toThrow(/no 2080 bytes left for the activations of 1 images/);
  expect(arena.bytes).toBe(0);
});
