/** Signed integers of 2 to 32 bits packed without gaps: two's complement, the first integer in the lowest bits of the first byte. */

/** Bytes of `count` integers of `bits` bits, the last byte padded with zeros. */
export function packedBytes(count: number, bits: number): number {
  return Math.ceil((count * bits) / 8);
}

/** Smallest width of 2 to 32 bits that holds every one of `values`. */
export function signedWidth(values: ArrayLike<number>): number {
  let reach = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    reach = Math.max(reach, value < 0 ? -1 - value : value);
  }
  return Math.max(2, 33 - Math.clz32(reach));
}

/**
 * @param values integers in -2^(bits-1)..2^(bits-1)-1
 * @returns `packedBytes(values.length, bits)` bytes
 * @throws RangeError naming the first value outside the width
 */
export function packSigned(values: Int8Array | Int32Array, bits: number): Uint8Array<ArrayBuffer> {
  checkWidth(bits);
  const bytes = new Uint8Array(packedBytes(values.length, bits));
  const limit = 2 ** (bits - 1);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < -limit || value >= limit) throw new RangeError(`value ${i} is ${value}, outside ${bits} bits`);
    for (let placed = 0; placed < bits;) {
      const at = i * bits + placed;
      const room = Math.min(8 - (at % 8), bits - placed);
      const byte = Math.floor(at / 8);
      const part = (value >> placed) & ((1 << room) - 1);
      bytes[byte] = (bytes[byte] as number) | (part << (at % 8));
      placed += room;
    }
  }
  return bytes;
}

/**
 * Unpacks into `values`, as many as it holds.
 *
 * @throws RangeError unless `bytes` has exactly the length of that many integers and zeros after the last
 */
export function unpackSigned<T extends Int8Array | Int32Array>(bytes: Uint8Array, bits: number, values: T): T {
  checkWidth(bits);
  const needed = packedBytes(values.length, bits);
  if (bytes.length !== needed) {
    throw new RangeError(`${values.length} integers of ${bits} bits need ${needed} bytes, got ${bytes.length}`);
  }
  const above = 32 - bits;
  for (let i = 0; i < values.length; i++) {
    let value = 0;
    for (let taken = 0; taken < bits;) {
      const at = i * bits + taken;
      const room = Math.min(8 - (at % 8), bits - taken);
      const part = ((bytes[Math.floor(at / 8)] as number) >> (at % 8)) & ((1 << room) - 1);
      value |= part << taken;
      taken += room;
    }
    values[i] = (value << above) >> above;
  }
  const used = values.length * bits - 8 * (needed - 1);
  if (needed > 0 && (bytes[needed - 1] as number) >> used !== 0) {
    throw new RangeError(`the bits after the last of ${values.length} integers of ${bits} bits must be 0`);
  }
  return values;
}

function checkWidth(bits: number): void {
  if (!Number.isInteger(bits) || bits < 2 || bits > 32) {
    throw new RangeError(`a width must be an integer in 2..32, got ${bits}`);
  }
}
