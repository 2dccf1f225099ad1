import { packRowMajor } from './codes.ts';

/** Levels in units of `step`, and what their planes mean. */
export interface ReferenceLevels {
  readonly operand: 'softmax' | 'gelu';
  readonly step: number;
  readonly levels: readonly number[];
}

/** The level of each value: the nearest by the f32 midpoints, the upper one at a midpoint. */
export function nearestLevels(values: Float32Array, { step, levels }: Omit<ReferenceLevels, 'operand'>): number[] {
  return Array.from(values, (x) => {
    let level = levels[0] as number;
    for (const next of levels.slice(1)) {
      if (x < Math.fround(((level + next) / 2) * step)) break;
      level = next;
    }
    return level;
  });
}

/** Reference of `quantize_levels.wgsl`: the packed words of one candidate, `[rows][upper words, lower words]`. */
export function quantizeLevelsReference(values: Float32Array, depth: number, table: ReferenceLevels): Uint32Array {
  const levels = nearestLevels(values, table);
  const rows = values.length / depth;
  const sign = table.operand === 'softmax' ? 1 : -1;
  const lower = levels.map((level) => (sign * level) & 127);
  const upper = levels.map((level, i) => {
    const hi = (level - sign * (lower[i] as number)) / 128;
    return hi === 0 ? 0 : 128 + hi;
  });
  const words = Math.ceil(depth / 4);
  const [high, low] = [packRowMajor(upper, rows, depth), packRowMajor(lower, rows, depth)];
  const packed = new Uint32Array(2 * rows * words);
  for (let row = 0; row < rows; row++) {
    packed.set(high.subarray(row * words, (row + 1) * words), 2 * row * words);
    packed.set(low.subarray(row * words, (row + 1) * words), (2 * row + 1) * words);
  }
  return packed;
}
