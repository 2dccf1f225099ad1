import { mostHeldBytes } from './buffers.ts';
import { DeviceLostError, DeviceMemoryError, GpuError, UnsupportedDeviceError } from './errors.ts';

/** What the program says about the adapter it runs on. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** True for a CPU driver such as llvmpipe or SwiftShader. */
  readonly software: boolean;
}

/** A device with its adapter's limits, and the one owner of its `lost` and `uncapturederror` events. */
export class Gpu implements Disposable {
  readonly device: GPUDevice;
  readonly adapter: AdapterDescription;
  #failure: GpuError | undefined;

  constructor(device: GPUDevice, adapter: AdapterDescription) {
    this.device = device;
    this.adapter = adapter;
    device.addEventListener('uncapturederror', (event) => {
      this.#failure ??= reported(event.error, device);
    });
    void device.lost.then((info) => {
      this.#failure ??= new DeviceLostError(`the GPU device was lost (${info.reason}): ${info.message}`);
    });
  }

  /** The first error that the device reported outside any error scope, or its loss. */
  get failure(): GpuError | undefined {
    return this.#failure;
  }

  /** Throws the first error that the device reported outside any error scope: results after it cannot be trusted. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  destroy(): void {
    this.device.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

function reported(error: GPUError, device: GPUDevice): GpuError {
  if (!(error instanceof GPUOutOfMemoryError)) return new GpuError(`the device reported: ${error.message}`);
  const held = `${(mostHeldBytes(device) / 1e6).toFixed(1)} MB`;
  return new DeviceMemoryError(`the device has no memory left (at most ${held} were held at once): ${error.message}`);
}

const OPTIONAL_FEATURES: readonly GPUFeatureName[] = ['timestamp-query', 'subgroups'];

/** Limits raised to what the adapter has; kernels and buffers check their own needs against the device. */
const RAISED_LIMITS = ['maxBufferSize', 'maxStorageBufferBindingSize', 'maxStorageBuffersPerShaderStage'] as const;

/**
 * Opens a device on the default adapter of `gpu`.
 *
 * @throws UnsupportedDeviceError when there is no adapter
 */
export async function openGpu(gpu: GPU): Promise<Gpu> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new UnsupportedDeviceError(
      'no WebGPU adapter was found. Install a GPU driver with Vulkan, Metal or D3D12 support, or a software one (Debian: mesa-vulkan-drivers from bookworm-backports).',
    );
  }
  const requiredLimits = Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  const requiredFeatures = OPTIONAL_FEATURES.filter((feature) => adapter.features.has(feature));
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
  return new Gpu(device, describeAdapter(adapter));
}

export function describeAdapter({ info }: Pick<GPUAdapter, 'info'>): AdapterDescription {
  const { vendor, architecture, description } = info;
  const software = /llvmpipe|swiftshader|lavapipe|software/i.test(`${vendor} ${architecture} ${description}`);
  return { vendor, architecture, description, software };
}
