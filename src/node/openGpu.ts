import { describeAdapter, openGpu, type AdapterDescription, type Gpu } from '../gpu/device.ts';
import { paceWaits } from './paceWaits.ts';

/** A device of Node's WebGPU with everything that must outlive it. */
export interface NodeGpu {
  readonly gpu: Gpu;
  /** Every different adapter that the platform offers, the one in use first. */
  readonly adapters: () => Promise<readonly AdapterDescription[]>;
  /** Destroys the device and lets the process end. */
  readonly close: () => void;
}

/**
 * Opens the default adapter through Dawn (package `webgpu`) and puts the WebGPU constants on `globalThis`.
 *
 * @param exactTimestamps timestamps to the nanosecond, which Dawn otherwise rounds to 0.1 ms
 * @throws UnsupportedDeviceError when there is no adapter
 */
export async function openNodeGpu({ exactTimestamps = false } = {}): Promise<NodeGpu> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  paceWaits(globals);
  // Dawn crashes when the instance is collected while a device lives, and keeps the process alive while it is reachable
  let instance: GPU | undefined = create(exactTimestamps ? ['disable-dawn-features=timestamp_quantization'] : []);
  const gpu = await openGpu(instance);
  return {
    gpu,
    async adapters() {
      const requests: GPURequestAdapterOptions[] = [{ powerPreference: 'low-power' }, { forceFallbackAdapter: true }];
      const found = new Map([[JSON.stringify(gpu.adapter), gpu.adapter]]);
      for (const request of requests) {
        const adapter = await instance?.requestAdapter(request);
        if (!adapter) continue;
        const description = describeAdapter(adapter);
        found.set(JSON.stringify(description), description);
      }
      return [...found.values()];
    },
    close() {
      gpu.destroy();
      instance = undefined;
    },
  };
}
