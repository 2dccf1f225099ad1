import { record, type Dispatch } from '../../src/gpu/kernel.ts';

/** Runs `dispatches` in one pass and waits until the device is done. */
export async function runDispatches(device: GPUDevice, dispatches: readonly Dispatch[]): Promise<void> {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const dispatch of dispatches) record(pass, dispatch);
  pass.end();
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
}
