import { createRequire } from 'node:module';
import path from 'node:path';

/** What is used of `@tensorflow/tfjs-core` and `@tensorflow/tfjs-backend-webgpu`, which this project's packages do not include. */
interface Core {
  removeBackend(name: string): void;
  registerBackend(name: string, factory: () => unknown): boolean;
  setBackend(name: string): Promise<boolean>;
  tensor2d(values: Float32Array, shape: [number, number]): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
}

interface Tensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

interface Backend {
  endComputePassEncoder(): void;
  submitQueue(): void;
}

type BackendPackage = Readonly<Record<'WebGPUBackend', new (device: GPUDevice, info: GPUAdapterInfo) => Backend>>;

export interface Tfjs {
  readonly adapter: string;
  readonly version: string;
  /** A float product `[rows][depth] x [depth][columns]`, to be run any number of times; `run` ends when the device is done. */
  matmul(
    a: Float32Array,
    b: Float32Array,
    shape: { readonly rows: number; readonly depth: number; readonly columns: number },
  ): { run(): Promise<void>; result(): Promise<Float32Array>; destroy(): void };
  close(): void;
}

/** The limits that the backend itself asks for in a browser. */
const LIMITS = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** TensorFlow.js from the `node_modules` of `folder`, on a device that is opened as its WebGPU backend does in a browser. */
export async function openTfjs(folder: string): Promise<Tfjs> {
  const require = createRequire(path.join(folder, 'package.json'));
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  let instance: GPU | undefined = create([]); // reachable while a device lives
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('no WebGPU adapter was found');
  const device = await adapter.requestDevice({
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
    requiredFeatures: adapter.features.has('timestamp-query') ? ['timestamp-query'] : [],
  });
  pretendBrowser(instance);
  const core = require('@tensorflow/tfjs-core') as Core;
  const { WebGPUBackend } = require('@tensorflow/tfjs-backend-webgpu') as BackendPackage;
  const { version } = require('@tensorflow/tfjs-backend-webgpu/package.json') as { version: string };
  const backend = new WebGPUBackend(device, adapter.info);
  core.removeBackend('webgpu');
  core.registerBackend('webgpu', () => backend);
  if (!(await core.setBackend('webgpu'))) throw new Error('TensorFlow.js does not take its WebGPU backend');
  return {
    adapter: adapter.info.description,
    version,
    matmul(aValues, bValues, { rows, depth, columns }) {
      const a = core.tensor2d(aValues, [rows, depth]);
      const b = core.tensor2d(bValues, [depth, columns]);
      return {
        async run() {
          const product = core.matMul(a, b);
          backend.endComputePassEncoder();
          backend.submitQueue();
          await device.queue.onSubmittedWorkDone();
          product.dispose();
        },
        async result() {
          const product = core.matMul(a, b);
          const values = await product.data();
          product.dispose();
          return values;
        },
        destroy() {
          a.dispose();
          b.dispose();
        },
      };
    },
    close() {
      device.destroy();
      Reflect.deleteProperty(globalThis, 'navigator');
      instance = undefined;
    },
  };
}

/** The backend refuses to be made where there is no `navigator.gpu`, though it is handed a device. */
function pretendBrowser(gpu: GPU): void {
  const value = { gpu, userAgent: 'node', platform: process.platform };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
}
