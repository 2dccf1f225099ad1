import { readF32 } from '../gpu/readback.ts';
import type { Tensors } from '../model/execute.ts';
import type { Unit } from '../model/graph.ts';

/**
 * Where the first token of the first image looks: for each head its probabilities over all tokens, f32 `[tokens]`. Nothing in a unit
 * without attention, or whose attention is cut into windows.
 *
 * @param tensors those of the unit, computed
 */
export async function firstTokenAttention(
  device: GPUDevice,
  { operations }: Unit,
  tensors: Tensors,
): Promise<Float32Array[]> {
  const softmax = operations.find(({ kind }) => kind === 'softmax');
  if (softmax?.kind !== 'softmax' || operations.some((each) => each.kind === 'matmul' && each.windows > 1)) return [];
  const { rows, columns, output } = softmax;
  const values = await readF32(device, tensors.get(output) as GPUBuffer, rows * columns);
  return Array.from({ length: rows / columns }, (_, head) => {
    return values.slice(head * columns ** 2, head * columns ** 2 + columns);
  });
}
