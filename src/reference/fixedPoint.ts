/** The functions of `lib_fixed_point.wgsl` in doubles that stay exact, written another way than the shader has them. */

const POWERS = Float64Array.from({ length: 128 }, (_, i) => 2 ** i);

/** 2^places, 0 <= places < 128: from a table, because `**` is most of the time of a rescale. */
export function power(places: number): number {
  return POWERS[places] as number;
}

/** `floor((acc * multiplier + 2^(shift-1)) / 2^shift)`: half toward +infinity; multiplier < 2^15, any shift up to 46. */
export function dyadicRescale8(acc: number, multiplier: number, shift: number): number {
  return Math.floor((acc * multiplier + power(shift - 1)) / power(shift)); // the sum is below 2^47
}

/** The same with multiplier < 2^31 and 1 <= shift <= 62, saturated to 32 bits. */
export function dyadicRescale16(acc: number, multiplier: number, shift: number): number {
  const low = acc & 0xffff;
  // The product is whole * 2^16 + rest, whole below 2^47 and rest below 2^16.
  const carried = Math.floor((low * multiplier) / 2 ** 16);
  const whole = ((acc - low) / 2 ** 16) * multiplier + carried;
  const rest = low * multiplier - carried * 2 ** 16;
  const quotient =
    shift > 16
      ? Math.floor((whole + power(shift - 17)) / power(shift - 16))
      : whole * power(16 - shift) + Math.floor((rest + power(shift - 1)) / power(shift)); // inexact only far past 2^32
  return clamp(quotient, -(2 ** 31), 2 ** 31 - 1);
}

/** a + b, each cut to 31 bits first, cut to 16 bits. */
export function saturatingAdd16(a: number, b: number): number {
  const cut = (x: number) => clamp(x, -(2 ** 30), 2 ** 30 - 1);
  return clamp(cut(a) + cut(b), -(2 ** 15), 2 ** 15 - 1);
}

export function clamp(x: number, low: number, high: number): number {
  return Math.min(Math.max(x, low), high);
}

/** floor(sqrt(x)) for integers x < 2^60; the double root is off by one at most. */
export function integerRoot(x: bigint): bigint {
  let root = BigInt(Math.floor(Math.sqrt(Number(x))));
  while (root * root > x) root--;
  while ((root + 1n) ** 2n <= x) root++;
  return root;
}

/** Packs 16-bit integers `[rows][columns]`, two a word, each row padded with zeros to whole words. */
export function packInt16(values: ArrayLike<number>, columns: number): Uint32Array<ArrayBuffer> {
  const words = Math.ceil(columns / 2);
  const halves = new Int16Array((values.length / columns) * words * 2);
  for (let i = 0; i < values.length; i++) {
    halves[Math.floor(i / columns) * words * 2 + (i % columns)] = values[i] as number;
  }
  return new Uint32Array(halves.buffer);
}

/** The integers `[rows][columns]` that `packInt16` packed. */
export function unpackInt16(packed: Uint32Array, rows: number, columns: number): Int16Array<ArrayBuffer> {
  const words = Math.ceil(columns / 2);
  const values = new Int16Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      values[row * columns + column] = (packed[row * words + (column >> 1)] as number) >>> (16 * (column & 1));
    }
  }
  return values;
}
