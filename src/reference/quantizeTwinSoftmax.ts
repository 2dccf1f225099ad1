import { roundHalfEven } from './codes.ts';

/**
 * Reference of `quantize_twin_softmax.wgsl`: one code a value. `nearest` tries the nearest code of each range and keeps the closer
 * one (R2 on a draw of different values), which is what the kernel's threshold stands for; `published` takes R1 below 2^-shift.
 */
export function quantizeTwinSoftmaxReference(
  probs: Float32Array,
  { bits, shift, boundary }: { bits: number; shift: number; boundary: 'nearest' | 'published' },
): Uint8Array {
  const magnitudeMax = 2 ** (bits - 1) - 1;
  const scaleR2 = 2 ** -(bits - 1);
  const scaleR1 = scaleR2 * 2 ** -shift;
  return Uint8Array.from(probs, (x) => {
    const r1 = Math.min(roundHalfEven(x / scaleR1), magnitudeMax);
    const r2 = roundHalfEven(x / scaleR2); // not clamped: with shift 0 the end of R2 is the end of R1
    const valueR1 = r1 * scaleR1;
    const valueR2 = r2 * scaleR2;
    const closer = x > magnitudeMax * scaleR1 && valueR1 !== valueR2 && Math.abs(x - valueR2) <= Math.abs(x - valueR1);
    const isR2 = boundary === 'nearest' ? closer : x >= 2 ** -shift;
    return isR2 ? Math.min(r2, magnitudeMax) + 2 ** (bits - 1) : r1;
  });
}
