import { codeRange } from '../quantize/codeRange.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import type { StridedMatrix } from '../quantize/geometry.ts';
import { initialScale } from '../quantize/quantizer.ts';

/** The values of one operand, and how its quantizer holds them. */
export interface OperandReport {
  /** Values in equal bins, at most `REPORT_BINS`; `low` and `high` are their ends, the smallest and the largest value. */
  readonly histogram: { readonly low: number; readonly high: number; readonly counts: readonly number[] };
  /** Share of values that lie beyond the outermost codes by more than half a step. */
  readonly clipped: number;
  /** Share of values that take the lowest or the highest code; a lowest code that stands for 0 is not counted. */
  readonly saturated: number;
}

export const REPORT_BINS = 200;

/** With the rounding of a scale to f32 to spare: the largest value may lie half a step beyond the last code. */
const HALF_STEP = 0.500001;

/** The outermost values of codes and the steps beside them. */
interface CodeEnds {
  readonly low: number;
  readonly lowStep: number;
  readonly high: number;
  readonly highStep: number;
}

interface OperandShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** A weight, given as the right operand: its channels are columns. */
  readonly isWeight?: boolean;
}

/** Looks at all values of `matrix` in `values`. */
export function operandReport(
  values: Float32Array,
  shape: OperandShape,
  matrix: StridedMatrix,
  quantizer: LeftQuantizer | RightQuantizer,
): OperandReport {
  const { images, heads, rows, columns } = shape;
  const taken = new Float32Array(images * heads * rows * columns);
  const endsOf = codeEnds(quantizer, shape);
  let [next, clipped, saturated, low, high] = [0, 0, 0, Infinity, -Infinity];
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const start = matrix.offset + image * matrix.imageStride + head * matrix.headStride + row * matrix.rowStride;
        const first = next;
        for (let column = 0; column < columns; column++) {
          taken[next++] = values[start + column * matrix.columnStride] as number;
        }
        const line = taken.subarray(first, next);
        for (let column = 0; column < columns; column++) {
          const value = line[column] as number;
          const ends = endsOf({ head, row, column }, line);
          low = Math.min(low, value);
          high = Math.max(high, value);
          if (value < ends.low - HALF_STEP * ends.lowStep || value > ends.high + HALF_STEP * ends.highStep) clipped++;
          const atLow = ends.low < 0 && value <= ends.low + ends.lowStep / 2;
          if (atLow || value >= ends.high - ends.highStep / 2) saturated++;
        }
      }
    }
  }
  const count = taken.length;
  return {
    histogram: { low, high, counts: histogramOf(taken, low, high) },
    clipped: clipped / count,
    saturated: saturated / count,
  };
}

function histogramOf(values: Float32Array, low: number, high: number): number[] {
  const bins = low === high ? 1 : REPORT_BINS;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = low === high ? 0 : Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins));
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}

interface Place {
  readonly head: number;
  readonly row: number;
  readonly column: number;
}

/** The ends of the codes at a place; `line` is the row that it lies in. */
function codeEnds(
  quantizer: LeftQuantizer | RightQuantizer,
  { heads, rows, columns, isWeight = false }: OperandShape,
): (place: Place, line: Float32Array) => CodeEnds {
  const { bits } = quantizer;
  const top = 2 ** (bits - 1) - 1;
  switch (quantizer.type) {
    case 'uniform': {
      const { granularity, scales, restricted, zeroPoint = 0 } = quantizer;
      const range = codeRange(bits, restricted);
      const groups = scales.map((scale) => uniformEnds(range, scale, zeroPoint));
      const byHead = granularity === 'head';
      return ({ head, column }) => {
        const group = byHead ? (head * groups.length) / heads : (column * groups.length) / columns;
        return groups[groups.length === 1 ? 0 : Math.floor(group)] as CodeEnds;
      };
    }
    case 'twin-softmax': {
      const highStep = 2 ** (1 - bits);
      return always({ low: 0, lowStep: highStep / 2 ** quantizer.shift, high: top * highStep, highStep });
    }
    case 'twin-gelu': {
      const { scaleR2: highStep, shift } = quantizer;
      const lowStep = highStep / 2 ** shift;
      return always({ low: -top * lowStep, lowStep, high: top * highStep, highStep });
    }
    case 'pixels':
      return always(uniformEnds(codeRange(8), 1, 0));
    case 'levels': {
      const { levels, step } = quantizer;
      const at = (i: number) => (levels.at(i) as number) * step;
      return always({ low: at(0), lowStep: at(1) - at(0), high: at(-1), highStep: at(-1) - at(-2) });
    }
    case 'block': {
      const { rowBlocks, columnBlocks, scales, restricted } = quantizer;
      const blocks = scales.map((scale) => uniformEnds(codeRange(bits, restricted), scale, 0));
      return ({ row, column }) => {
        const [outer, inner] = isWeight ? [column / columns, row / rows] : [row / rows, column / columns];
        return blocks[Math.floor(outer * rowBlocks) * columnBlocks + Math.floor(inner * columnBlocks)] as CodeEnds;
      };
    }
    case 'per-token': {
      let [last, ends] = [-1, uniformEnds(codeRange(bits), 1, 0)];
      return ({ head, row, column }, line) => {
        if (column === 0 || last !== head * rows + row) {
          const largest = line.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          ends = uniformEnds(codeRange(bits, quantizer.restricted), initialScale(largest, bits), 0);
          last = head * rows + row;
        }
        return ends;
      };
    }
    case 'published-softmax':
      return always({ low: 0, lowStep: quantizer.split / top, high: 1, highStep: 1 / top });
    case 'published-gelu': {
      const { scales, negativeScale: lowStep } = quantizer;
      const groups = scales.map((highStep) => ({ low: -(top + 1) * lowStep, lowStep, high: top * highStep, highStep }));
      return ({ column }) => groups[Math.floor((column * groups.length) / columns)] as CodeEnds;
    }
  }
}

function uniformEnds(range: { readonly low: number; readonly high: number }, scale: number, zero: number): CodeEnds {
  return { low: (range.low - zero) * scale, lowStep: scale, high: (range.high - zero) * scale, highStep: scale };
}

function always(ends: CodeEnds): () => CodeEnds {
  return () => ends;
}
