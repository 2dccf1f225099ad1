import { onnxModel } from './onnxModel.ts';
import type { Product } from './product.ts';
import { floats } from './random.ts';
import { sampledError } from './sampledError.ts';

/** What is used of `onnxruntime-web`, which this project's packages do not include. */
interface OnnxRuntime {
  readonly env: {
    logLevel: string;
    readonly versions: { readonly web?: string };
    readonly wasm: { wasmPaths: string; numThreads: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> };
  };
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<InferenceSession>;
  };
  readonly Tensor: {
    fromGpuBuffer(buffer: GPUBuffer, options: { dataType: 'float32'; dims: readonly number[] }): OnnxTensor;
  };
}

interface OnnxTensor {
  readonly location: string;
  getData(): Promise<Float32Array>;
  dispose(): void;
}

interface InferenceSession {
  run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<Readonly<Record<string, OnnxTensor>>>;
  release(): Promise<void>;
}

/** `copies` float products of one shape with weights of their own, in one session; `run` ends when the device is done. */
export interface PeerProducts {
  /** The adapter of its device, as its vendor and architecture. */
  readonly adapter: string;
  run(): Promise<void>;
  /** Largest error of the first product at some places, as a share of its largest value. */
  error(): Promise<number>;
  destroy(): Promise<void>;
}

export interface Peer {
  readonly version: string;
  products(product: Product, copies: number): Promise<PeerProducts>;
}

/** ONNX Runtime Web in this page, served at `folder`. */
export async function openOnnxRuntime(folder: string): Promise<Peer> {
  const bundle = `${folder}ort.webgpu.bundle.min.mjs`;
  const ort = (await import(/* @vite-ignore */ bundle)) as OnnxRuntime;
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = 1;
  return {
    version: ort.env.versions.web ?? '',
    products: (product, copies) => openProducts(ort, product, copies),
  };
}

async function openProducts(ort: OnnxRuntime, product: Product, copies: number): Promise<PeerProducts> {
  const { heads, rows, depth, columns } = product;
  const batch = heads === 1 ? [] : [heads];
  const outputs = Array.from({ length: copies }, (_, i) => `y${i}`);
  const weights = outputs.map((_, i) => floats(heads * depth * columns, i + 1));
  const left = [...batch, rows, depth];
  const model = onnxModel(
    outputs.map((output, i) => ({ output, weight: weights[i] as Float32Array<ArrayBuffer> })),
    { left, right: [...batch, depth, columns], product: [...batch, rows, columns] },
  );
  // Operands and results stay on the device: neither side pays for copies.
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  });
  const device = await ort.env.webgpu.device;
  const values = floats(heads * rows * depth, 0);
  const buffer = device.createBuffer({
    size: 16 * Math.ceil(values.byteLength / 16),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(buffer, 0, values);
  const input = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: left });
  const run = async (): Promise<OnnxTensor[]> => {
    const results = Object.values(await session.run({ input }));
    if (results.some(({ location }) => location !== 'gpu-buffer')) throw new Error('a result left the device');
    await device.queue.onSubmittedWorkDone();
    return results;
  };
  const { vendor, architecture } = device.adapterInfo;
  return {
    adapter: `${vendor} ${architecture}`,
    async run() {
      for (const result of await run()) result.dispose();
    },
    async error() {
      const results = await run();
      const first = await (results[0] as OnnxTensor).getData();
      for (const result of results) result.dispose();
      return sampledError(values, weights[0] as Float32Array, { rows, depth, columns })(first);
    },
    async destroy() {
      input.dispose();
      buffer.destroy();
      await session.release();
    },
  };
}
