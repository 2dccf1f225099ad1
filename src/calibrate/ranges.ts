import { submit } from '../gpu/kernel.ts';
import { readF32 } from '../gpu/readback.ts';
import { rangeStatistics } from '../kernels/rangeStatistics.ts';
import type { AttentionBiasOperation, Network, Operation, Unit } from '../model/graph.ts';
import type { GpuContext } from '../quantize/context.ts';
import { CalibrationError } from './errors.ts';
import { maskOf, wholeTensor } from './nonlinearUses.ts';

/** A tensor whose largest magnitude integer inference needs, under its name in the recipe. */
export interface RangedTensor {
  readonly unit: Unit;
  readonly tensor: string;
  readonly name: string;
  /** What its values are multiplied by: the scale of softmax, 1 for others. */
  readonly factor: number;
  /** Which of them do not count: logits that softmax leaves out. */
  readonly masked: AttentionBiasOperation | undefined;
}

/** The tensors of a network that are kept in integers with a range of their own, and its logits, in the order of the forward pass. */
export function rangedTensors({ units }: Network): RangedTensor[] {
  return units.flatMap((unit, i) => {
    const factors = new Map(unit.operations.flatMap((operation) => rangedOf(unit, operation)));
    if (i === units.length - 1) factors.set(unit.output, 1);
    return [...factors].map(([tensor, factor]) => {
      return { unit, tensor, name: `${unit.name}.${tensor}`, factor, masked: maskOf(unit, tensor) };
    });
  });
}

function rangedOf(unit: Unit, operation: Operation): [tensor: string, factor: number][] {
  switch (operation.kind) {
    case 'add':
      return [operation.a, operation.b, operation.output].map((tensor) => [tensor, 1]);
    case 'tokens':
      return [operation.input, operation.output].map((tensor) => [tensor, 1]);
    case 'gelu':
    case 'meanRows':
      return [[operation.input, 1]];
    case 'layerNorm':
      return [[wholeTensor(unit, operation.input), 1]];
    case 'softmax':
      return [[operation.input, operation.scale]];
    default:
      return [];
  }
}

/**
 * Largest magnitude of each of `rows` equal rows of `source`, f32. Exact.
 *
 * @throws CalibrationError naming `name` when one of them is not finite
 */
export async function largestOfRows(
  { device, pool }: GpuContext,
  source: GPUBuffer,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  name: string,
): Promise<Float32Array> {
  const scope = pool.scope();
  try {
    const statistics = scope.acquire(16 * rows, 'range statistics');
    const view = { offset: 0, imageStride: columns, headStride: 0, rowStride: 0 };
    const shape = { images: rows, heads: 1, rows: 1, columns, view };
    submit(device, [await rangeStatistics(device, { source, statistics }, shape)]);
    const largest = (await readF32(device, statistics, 4 * rows)).filter((_, i) => i % 4 === 0);
    if (!largest.every((value) => value >= 0 && value < Infinity)) {
      throw new CalibrationError(`${name} holds values that are not finite; is the checkpoint damaged?`);
    }
    return largest;
  } finally {
    scope.release();
  }
}
