import type { ProductGeometry } from './geometry.ts';
import { steps, type ActivationQuantizer, type UniformQuantizer } from './quantizer.ts';

/** The scales of an integer product: one per head when both operands are activations, else one per output column. */
export interface ProductScales {
  /** f32 `[heads]` or `[columns]` */
  readonly values: Float32Array;
  readonly headStride: 0 | 1;
  readonly columnStride: 0 | 1;
}

/** `f32(step of a * step of b)` wherever it differs: the one scale that turns the integer accumulator into a real number. */
export function productScales(geometry: ProductGeometry, a: ActivationQuantizer, b: UniformQuantizer): ProductScales {
  const perHead = geometry.b !== undefined;
  const count = perHead ? geometry.heads : geometry.columns;
  const left = steps(a);
  const right = b.scales;
  const values = Float32Array.from(
    { length: count },
    (_, i) => (left[groupOf(i, count, left.length)] as number) * (right[groupOf(i, count, right.length)] as number),
  );
  return { values, headStride: perHead ? 1 : 0, columnStride: perHead ? 0 : 1 };
}

/** The group of element i when `count` elements fall into equal consecutive groups. */
function groupOf(i: number, count: number, groups: number): number {
  return Math.floor((i * groups) / count);
}
