import { dyadicRescale16, saturatingAdd16 } from './fixedPoint.ts';

/** `multiplier / 2^shift` */
export interface DyadicRatio {
  readonly multiplier: number;
  readonly shift: number;
}

/** Reference of `residual_add_i16.wgsl`. */
export function residualAddI16Reference(
  a: Int16Array,
  b: Int16Array,
  rescaleA: DyadicRatio,
  rescaleB: DyadicRatio,
): Int16Array<ArrayBuffer> {
  return Int16Array.from(a, (value, i) =>
    saturatingAdd16(
      dyadicRescale16(value, rescaleA.multiplier, rescaleA.shift),
      dyadicRescale16(b[i] as number, rescaleB.multiplier, rescaleB.shift),
    ),
  );
}
