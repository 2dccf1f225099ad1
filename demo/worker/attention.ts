/** Where the class token looks, in the float network and in the integer one. */
import type { CalibrationImage, Gpu, Model, ReferenceEngine } from '../../src/index.ts';
import { forwardUnits } from '../../src/calibrate/sweep.ts';
import { BufferPool } from '../../src/gpu/buffers.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { codeWords } from '../../src/kernels/codes.ts';
import { ParameterStore } from '../../src/model/execute.ts';
import { decodeCode, unpackRowMajor } from '../../src/reference/codes.ts';
import type { AttentionMap } from '../protocol.ts';

/**
 * Attention of the first token to every patch, the mean over heads, block by block: of the float network from the device, of the
 * integer one from the codes that the plain TypeScript engine gives. Blocks with windows or without a class token have no such map.
 */
export async function attentionMaps(
  gpu: Gpu,
  model: Model,
  engine: ReferenceEngine,
  image: CalibrationImage,
): Promise<AttentionMap[]> {
  const float = await floatAttention(gpu, model, image);
  const words = engine.trace(image.rgb);
  const { operations, tensors } = engine.model.program;
  return operations.flatMap((operation): AttentionMap[] => {
    if (operation.kind !== 'softmax') return [];
    const block = operation.name.replace(/\.attn\.softmax$/, '');
    const [own, tensor] = [float.get(block), tensors[operation.output]];
    if (!own || !tensor?.codes || tensor.layout !== 'left' || (tensor.windows ?? 1) > 1) return [];
    const { kind, bits, shift } = tensor.codes;
    if (kind === 'levels-softmax' || kind === 'levels-gelu') return [];
    const { heads, rows, columns, scales } = tensor;
    const packed = words.get(operation.output) as Uint32Array;
    const wordsOfHead = rows * codeWords(columns);
    const values = new Float32Array(heads * columns);
    for (let head = 0; head < heads; head++) {
      const codes = unpackRowMajor(packed.subarray(head * wordsOfHead, (head + 1) * wordsOfHead), 1, columns);
      const [common = 1] = scales;
      const scale = scales[head] ?? common;
      codes.forEach((code, i) => {
        values[head * columns + i] = decodeCode(code & 0xff, { kind, bits, shift }) * scale;
      });
    }
    const integer = patchShares(values, heads, columns, columns);
    const side = Math.sqrt(integer.length);
    return Number.isInteger(side) ? [{ block, side, float: own, integer }] : [];
  });
}

async function floatAttention(gpu: Gpu, model: Model, image: CalibrationImage): Promise<Map<string, Float32Array>> {
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context = { device: gpu.device, pool, parameters };
  const found = new Map<string, Float32Array>();
  await forwardUnits({ context, model, chunks: [[image]] }, async (unit, tensors) => {
    const softmax = unit.operations.find((operation) => operation.kind === 'softmax');
    if (!softmax) return;
    const { rows, columns } = softmax;
    const heads = rows / columns;
    if (!Number.isInteger(heads)) return;
    const values = await readF32(gpu.device, tensors.get(softmax.output) as GPUBuffer, rows * columns);
    found.set(unit.name, patchShares(values, heads, columns * columns, columns));
  });
  return found;
}

/** The first row of each head, averaged, without what goes to the prefix tokens before the square of patches. */
function patchShares(values: Float32Array, heads: number, headStride: number, columns: number): Float32Array {
  const patches = Math.floor(Math.sqrt(columns)) ** 2;
  const prefix = columns - patches;
  return Float32Array.from({ length: patches }, (_, patch) => {
    let sum = 0;
    for (let head = 0; head < heads; head++) sum += values[head * headStride + prefix + patch] as number;
    return sum / heads;
  });
}
