import { globals } from 'webgpu';
import { expect, test } from 'vitest';
import { BufferPool, mostHeldBytes } from '../../src/gpu/buffers.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { DeviceLostError, DeviceMemoryError, GpuError } from '../../src/gpu/errors.ts';

Object.assign(globalThis, globals);

/** A device that does nothing but tell what the test has it tell. */
function fakeDevice() {
  let lose: (info: { reason: string; message: string }) => void = () => undefined;
  const target = Object.assign(new EventTarget(), {
    limits: { maxStorageBufferBindingSize: 1e9, maxBufferSize: 1e9 },
    lost: new Promise((resolve) => (lose = resolve)),
    queue: { submit: () => undefined },
    createBuffer: ({ size, label }: { size: number; label: string }) => ({ size, label, destroy: () => undefined }),
  });
  const tell = (error: GPUError) => target.dispatchEvent(Object.assign(new Event('uncapturederror'), { error }));
  return {
    device: target as unknown as GPUDevice,
    tell,
    lose: (message: string) => lose({ reason: 'unknown', message }),
  };
}

const ADAPTER = { vendor: '', architecture: '', description: '', software: true };

test('memory that is gone is told with what was held at most, by all pools of the device', () => {
  const { device, tell } = fakeDevice();
  const gpu = new Gpu(device, ADAPTER);
  gpu.check();
  expect(gpu.failure).toBeUndefined();
  const [first, second] = [new BufferPool(device), new BufferPool(device)];
  const buffer = first.acquire(3_000_000, 'a');
  first.release(buffer);
  expect(first.acquire(3_000_000, 'again')).toBe(buffer);
  second.acquire(1_500_000, 'b');
  second.destroy();
  new BufferPool(device).acquire(1_000_000, 'c');
  expect(mostHeldBytes(device)).toBe(4_500_000);
  expect(mostHeldBytes(fakeDevice().device)).toBe(0);
  tell(new GPUOutOfMemoryError('no block'));
  const message = 'the device has no memory left (at most 4.5 MB were held at once): no block';
  expect(gpu.failure).toEqual(new DeviceMemoryError(message));
  expect(() => gpu.check()).toThrow(message);
});

test('the first thing that is told counts', async () => {
  const { device, tell, lose } = fakeDevice();
  const gpu = new Gpu(device, ADAPTER);
  tell(new GPUValidationError('first'));
  tell(new GPUOutOfMemoryError('second'));
  lose('third');
  await device.lost;
  expect(gpu.failure).toEqual(new GpuError('the device reported: first'));
  const other = fakeDevice();
  const lost = new Gpu(other.device, ADAPTER);
  other.lose('gone');
  await other.device.lost;
  expect(lost.failure).toBeInstanceOf(DeviceLostError);
});
