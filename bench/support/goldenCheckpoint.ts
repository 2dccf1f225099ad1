import { readFile } from 'node:fs/promises';
import { readF32 } from '../../src/io/readTensor.ts';
import { parseSafetensors, type TensorEntry, type TensorToWrite } from '../../src/io/safetensors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';

/** A tiny random model of test/golden/float: its parameters under canonical names, and what PyTorch computed. */
export interface Golden {
  readonly config: ModelConfig;
  readonly tensors: readonly TensorToWrite[];
  /** f32 `[images, 3, size, size]`, normalised. */
  readonly pixels: Float32Array;
  /** f32 `[images, classes]`. */
  readonly logits: Float32Array;
}

/** Reads it, with pictures squashed to a square: what both worlds of processors can be told to do. */
export async function readGolden(name: string): Promise<Golden> {
  const file = parseSafetensors(await readFile(`test/golden/float/${name}.safetensors`), name);
  const config = parseConfig(file.metadata['config'] as string, name);
  const { imageSize } = config;
  const square = { width: imageSize, height: imageSize };
  const golden = (tensor: string) => readF32(file.tensors.get(`golden.${tensor}`) as TensorEntry);
  return {
    config: { ...config, preprocessing: { ...config.preprocessing, resizeShortestEdge: square } },
    tensors: [...file.tensors.values()]
      .filter((entry) => !entry.name.startsWith('golden.'))
      .map((entry) => ({ name: entry.name, dtype: 'F32', shape: entry.shape, data: readF32(entry) })),
    pixels: golden('pixels'),
    logits: golden('logits'),
  };
}
