/** The device of the worker: opened when it is first needed, and again after it was lost. */
import { DeviceLostError, openGpu, UnsupportedDeviceError, type Gpu } from '../../src/index.ts';
import { NoWebGpuError } from './failures.ts';

/** How long after an error the loss of the device may be told, at most. */
const LOSS_TOLD_MS = 300;

export class Adapter {
  #gpu: Gpu | undefined;
  #lost: DeviceLostError | undefined;

  /** @throws NoWebGpuError where the browser offers no adapter */
  async open(): Promise<Gpu> {
    if (this.#gpu && !this.#lost && !this.#gpu.failure) return this.#gpu;
    if (!('gpu' in navigator)) throw new NoWebGpuError('This browser has no WebGPU.');
    const gpu = await openGpu(navigator.gpu).catch((error: unknown) => {
      if (error instanceof UnsupportedDeviceError)
        throw new NoWebGpuError('This browser has WebGPU but offers no adapter.');
      throw error;
    });
    this.#gpu = gpu;
    this.#lost = undefined;
    void gpu.device.lost.then(({ reason, message }) => {
      if (this.#gpu === gpu) this.#lost = new DeviceLostError(`The GPU device was lost (${reason}): ${message}`);
    });
    return gpu;
  }

  /** Lets go of a device that reported an error: it would report it for ever. What it holds is lost. */
  dropFailed(): void {
    if (!this.#gpu?.failure) return;
    const gpu = this.#gpu;
    this.#gpu = undefined;
    gpu.destroy();
  }

  /** What made `error`: where the device is gone, its loss, or else what it reported, which broke the rest. */
  async causeOf(error: unknown): Promise<unknown> {
    if (this.#gpu && !this.#lost) {
      // the loss is told after what it breaks
      await Promise.race([this.#gpu.device.lost, new Promise((resolve) => setTimeout(resolve, LOSS_TOLD_MS))]);
    }
    return this.#lost ?? this.#gpu?.failure ?? error;
  }
}
