import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';

/** The values that codes stand for, in ascending order, split into the two ranges of twin quantizers. */
export interface QuantizationPoints {
  /** All of a quantizer with one range. */
  readonly fine: readonly number[];
  /** The second, coarser range of twin quantizers; empty elsewhere. */
  readonly coarse: readonly number[];
}

/** Points of a quantizer with its first scale; none where the scale is found for every token. */
export function quantizationPoints(quantizer: LeftQuantizer | RightQuantizer): QuantizationPoints {
  const q = 2 ** (quantizer.bits - 1);
  const run = (low: number, high: number, scale: number) => {
    return Array.from({ length: high - low + 1 }, (_, i) => (low + i) * scale + 0);
  };
  switch (quantizer.type) {
    case 'uniform': {
      const { scales, restricted, zeroPoint = 0 } = quantizer;
      const low = (restricted ? 1 - q : -q) - zeroPoint;
      return { fine: run(low, q - 1 - zeroPoint, scales[0] as number), coarse: [] };
    }
    case 'block':
      return { fine: run(quantizer.restricted ? 1 - q : -q, q - 1, quantizer.scales[0] as number), coarse: [] };
    case 'pixels':
      return { fine: run(-q, q - 1, 1), coarse: [] };
    case 'twin-softmax':
      return { fine: run(0, q - 1, 1 / q / 2 ** quantizer.shift), coarse: run(0, q - 1, 1 / q) };
    case 'twin-gelu': {
      const { scaleR2, shift } = quantizer;
      return { fine: run(1 - q, 0, scaleR2 / 2 ** shift), coarse: run(0, q - 1, scaleR2) };
    }
    case 'levels':
      return { fine: quantizer.levels.map((level) => level * quantizer.step), coarse: [] };
    case 'published-softmax':
      return { fine: run(0, q - 1, quantizer.split / (q - 1)), coarse: run(0, q - 1, 1 / (q - 1)) };
    case 'published-gelu':
      return {
        fine: run(-q, 0, quantizer.negativeScale),
        coarse: run(0, q - 1, quantizer.scales[0] as number),
      };
    case 'per-token':
      return { fine: [], coarse: [] };
  }
}

/** Points of uniform codes of the same width whose ends hold `low` and `high`: what one range would give. */
export function uniformPoints(bits: number, low: number, high: number): readonly number[] {
  const q = 2 ** (bits - 1);
  const scale = Math.max(Math.abs(low), Math.abs(high)) / (q - 0.5) || 1;
  return Array.from({ length: 2 * q }, (_, i) => (i - q) * scale + 0);
}
