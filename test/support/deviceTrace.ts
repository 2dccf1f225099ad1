import type { IntegerModel } from '../../src/format/model.ts';
import { largestSums } from '../../src/format/bounds.ts';
import type { IntegerTensor } from '../../src/format/program.ts';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { submit } from '../../src/gpu/kernel.ts';
import { readBytes } from '../../src/gpu/readback.ts';
import { codesOf, type StepContext } from '../../src/infer/context.ts';
import { modelParameters } from '../../src/infer/parameters.ts';
import { tensorBytes } from '../../src/infer/plan.ts';
import { prepareStep } from '../../src/infer/steps.ts';
import { plainVariant } from '../../src/kernels/matmulVariant.ts';

/**
 * Every tensor's words of a batch of images by the steps of a session, each tensor in a buffer of its own that was full of junk.
 * Where logits differ from the reference engine's, the first tensor here that differs from its trace names the operation.
 */
export async function deviceTrace(
  pool: BufferPool,
  model: IntegerModel,
  pixels: Uint8Array,
  images: number,
): Promise<Map<string, Uint32Array>> {
  const { program } = model;
  const tensor = (name: string) => program.tensors[name] as IntegerTensor;
  const buffers = new Map<string, GPUBuffer>();
  const upload = (name: string, data: Parameters<BufferPool['upload']>[0]) => {
    const buffer = pool.upload(data, name);
    buffers.set(name, buffer);
    return buffer;
  };
  for (const name of Object.keys(program.tensors)) {
    const words = new Uint32Array(tensorBytes(tensor(name), images) / 4).fill(0xa5c3f019);
    if (name === program.input) new Uint8Array(words.buffer).set(pixels);
    upload(name, words);
  }
  for (const [key, data] of modelParameters(model, new Set())) upload(`parameter ${key}`, data);
  const bound = (name: string) => buffers.get(name) as GPUBuffer;
  const context: StepContext = {
    device: pool.device,
    images,
    model,
    tensor,
    activation: bound,
    parameter: (key) => bound(`parameter ${key}`),
    scratch: () => {
      throw new Error('the integer runtime takes no scratch');
    },
    largestSum: (name) => {
      const operation = program.operations.find((other) => other.name === name);
      const parameters = model.linear.get(name);
      if (operation?.kind !== 'linear' || !parameters) throw new Error(`no linear ${name}`);
      const { input, outFeatures, inFeatures } = operation;
      return largestSums(parameters.codes, outFeatures, inFeatures, codesOf(tensor(input), input), parameters.bias).sum;
    },
    tiles: { variantFor: ({ columns }) => plainVariant(columns) },
  };
  for (const operation of program.operations) {
    submit(pool.device, await prepareStep(context, operation, new Set()));
  }
  const traced = new Map<string, Uint32Array>();
  for (const name of Object.keys(program.tensors)) {
    const bytes = await readBytes(pool.device, bound(name), tensorBytes(tensor(name), images));
    traced.set(name, new Uint32Array(bytes));
  }
  for (const buffer of buffers.values()) pool.release(buffer);
  return traced;
}
