import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packedBytes, packSigned, signedWidth, unpackSigned } from '../../src/format/bits.ts';

const widthAndValues = fc.integer({ min: 2, max: 32 }).chain((bits) => {
  const [low, high] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  const value = fc.oneof(fc.integer({ min: low, max: high }), fc.constantFrom(low, high, -1, 0, 1));
  return fc.tuple(fc.constant(bits), fc.array(value, { maxLength: 300 }));
});

/** The same stream as one number: integer i times 2^(i bits). */
function asOneNumber(values: readonly number[], bits: number): bigint {
  return values.reduce((sum, value, i) => sum + (BigInt.asUintN(bits, BigInt(value)) << BigInt(i * bits)), 0n);
}

describe('packed integers', () => {
  test('are one little-endian number, and come back', () => {
    fc.assert(
      fc.property(widthAndValues, ([bits, values]) => {
        const packed = packSigned(Int32Array.from(values), bits);
        expect(packed.length).toBe(packedBytes(values.length, bits));
        const number = packed.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
        expect(number).toBe(asOneNumber(values, bits));
        expect([...unpackSigned(packed, bits, new Int32Array(values.length))]).toEqual(values);
        if (bits <= 8) expect([...unpackSigned(packed, bits, new Int8Array(values.length))]).toEqual(values);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('begin in the lowest bits', () => {
    expect([...packSigned(Int8Array.of(1, -2, 7, -8, 3), 4)]).toEqual([0xe1, 0x87, 0x03]);
    expect([...packSigned(Int8Array.of(-1, 0, 1, -4), 3)]).toEqual([0b01_000_111, 0b1000]);
    expect([...packSigned(Int8Array.of(-128, 127), 8)]).toEqual([0x80, 0x7f]);
  });

  test.each([1, 3, 4, 5, 255, 257])('%i of them at every width', (count) => {
    for (let bits = 2; bits <= 8; bits++) {
      const values = Int8Array.from({ length: count }, (_, i) => ((i * 37) % 2 ** bits) - 2 ** (bits - 1));
      expect(unpackSigned(packSigned(values, bits), bits, new Int8Array(count))).toEqual(values);
    }
  });

  test('take the least width that holds them', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), (values) => {
        const bits = signedWidth(values);
        expect(() => packSigned(Int32Array.from(values), bits)).not.toThrow();
        if (bits > 2) expect(() => packSigned(Int32Array.from(values), bits - 1)).toThrow(RangeError);
      }),
      { seed: 2, numRuns: 200 },
    );
    expect([[], [0], [1], [-2], [2], [-3], [127], [-128], [128], [2 ** 31 - 1], [-(2 ** 31)]].map(signedWidth)).toEqual(
      [2, 2, 2, 2, 3, 3, 8, 8, 9, 32, 32],
    );
  });

  test('are refused outside their width, with another length or with bits after the last', () => {
    expect(() => packSigned(Int8Array.of(0, 8), 4)).toThrow('value 1 is 8, outside 4 bits');
    expect(() => packSigned(Int8Array.of(-9), 4)).toThrow('value 0 is -9, outside 4 bits');
    expect(() => packSigned(Int8Array.of(0), 1)).toThrow('a width must be an integer in 2..32, got 1');
    expect(() => unpackSigned(new Uint8Array(2), 4, new Int8Array(5))).toThrow(
      '5 integers of 4 bits need 3 bytes, got 2',
    );
    expect(() => unpackSigned(new Uint8Array(4), 4, new Int8Array(5))).toThrow(
      '5 integers of 4 bits need 3 bytes, got 4',
    );
    expect(() => unpackSigned(Uint8Array.of(0, 0, 0x10), 4, new Int8Array(5))).toThrow(
      'the bits after the last of 5 integers of 4 bits must be 0',
    );
  });
});
