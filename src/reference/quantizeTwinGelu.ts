import { roundHalfEven } from './codes.ts';

/** Reference of `quantize_twin_gelu.wgsl`: one code a value; `inverse` are the f32 values 1 / scaleR1 and 1 / scaleR2. */
export function quantizeTwinGeluReference(
  values: Float32Array,
  { bits, inverseR1, inverseR2 }: { bits: number; inverseR1: number; inverseR2: number },
): Uint8Array {
  const magnitudeMax = 2 ** (bits - 1) - 1;
  return Uint8Array.from(values, (x) => {
    if (x < 0) return Math.min(roundHalfEven(Math.fround(-x * inverseR1)), magnitudeMax);
    const magnitude = Math.min(roundHalfEven(Math.fround(x * inverseR2)), magnitudeMax);
    return magnitude === 0 ? 0 : magnitude + 2 ** (bits - 1);
  });
}
