import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { resize, type Interpolation } from '../../src/io/resize.ts';
import { firstDifference, goldenCases } from '../support/ioGolden.ts';

type Size = [number, number];

describe('every byte is the one Pillow gives', () => {
  const { cases, take, left } = goldenCases<{
    source: number;
    from: Size;
    to: Size;
    interpolation: Interpolation;
  }>('resize');
  let source = new Uint8Array(0);
  let index = -1;
  const all = cases.map((golden) => {
    if (golden.source !== index) {
      source = Uint8Array.from(take(golden.from[0] * golden.from[1] * 3));
      index = golden.source;
    }
    return { ...golden, data: source, expected: take(golden.to[0] * golden.to[1] * 3) };
  });
  test('the golden is whole', () => {
    expect(all.length).toBe(66);
    expect(left()).toBe(0);
  });
  test.each(all)('$from to $to, $interpolation', ({ from, to, interpolation, data, expected }) => {
    const before = Uint8Array.from(data);
    const result = resize({ width: from[0], height: from[1], data }, to[0], to[1], interpolation);
    expect([result.width, result.height]).toEqual(to);
    expect(firstDifference(result.data, expected)).toBe(-1);
    expect(firstDifference(data, before)).toBe(-1);
  });
});

interface NoiseCase {
  readonly from: Size;
  readonly to: Size;
  readonly interpolation: Interpolation;
  readonly sha256: string;
}
const noiseCases = JSON.parse(
  readFileSync(new URL('../golden/io/resizeNoise.json', import.meta.url), 'utf8'),
) as NoiseCase[];
test.each(noiseCases)('noise from $from to $to, $interpolation', ({ from, to, interpolation, sha256 }) => {
  let state = 0;
  const data = Uint8Array.from({ length: from[0] * from[1] * 3 }, () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state >>> 24;
  });
  const result = resize({ width: from[0], height: from[1], data }, to[0], to[1], interpolation);
  expect(createHash('sha256').update(result.data).digest('hex')).toBe(sha256);
});

const interpolation = fc.constantFrom<Interpolation>('nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos');
const size = fc.integer({ min: 1, max: 24 });
const picture = fc
  .tuple(size, size)
  .chain(([width, height]) =>
    fc
      .uint8Array({ minLength: width * height * 3, maxLength: width * height * 3 })
      .map((data) => ({ width, height, data })),
  );

test('a region is the same part of the whole', () => {
  const span = size.chain((length) =>
    fc
      .nat(length - 1)
      .chain((begin) => fc.tuple(fc.constant(length), fc.constant(begin), fc.integer({ min: 1, max: length - begin }))),
  );
  fc.assert(
    fc.property(picture, span, span, interpolation, (image, [width, left, across], [height, top, down], filter) => {
      const whole = resize(image, width, height, filter);
      const part = resize(image, width, height, filter, { left, top, width: across, height: down });
      expect([part.width, part.height, part.data.length]).toEqual([across, down, across * down * 3]);
      for (let y = 0; y < down; y++) {
        const row = ((y + top) * width + left) * 3;
        expect(part.data.subarray(y * across * 3, (y + 1) * across * 3)).toEqual(
          whole.data.subarray(row, row + across * 3),
        );
      }
    }),
    { seed: 3, numRuns: 400 },
  );
});

test('a size that stays is not filtered, and a plain colour stays plain', () => {
  fc.assert(
    fc.property(picture, size, size, interpolation, fc.nat(255), (image, width, height, filter, level) => {
      expect(resize(image, image.width, image.height, filter).data).toEqual(image.data);
      const plain = resize({ ...image, data: new Uint8Array(image.data.length).fill(level) }, width, height, filter);
      expect(plain.data).toEqual(new Uint8Array(width * height * 3).fill(level));
    }),
    { seed: 4, numRuns: 200 },
  );
});

test('a crop of a very long picture does not make the whole', () => {
  const long = { width: 16_000, height: 1, data: new Uint8Array(48_000).fill(77) };
  const part = resize(long, 3_968_000, 248, 'bicubic', { left: 1_983_888, top: 12, width: 224, height: 224 });
  expect(firstDifference(part.data, new Uint8Array(224 * 224 * 3).fill(77))).toBe(-1);
});

test('impossible sizes are refused', () => {
  const image = { width: 2, height: 2, data: new Uint8Array(12) };
  for (const bad of [0, -1, 1.5, NaN, Infinity]) {
    expect(() => resize(image, bad, 2, 'bicubic')).toThrow(RangeError);
    expect(() => resize(image, 2, bad, 'bicubic')).toThrow(RangeError);
  }
  expect(() => resize(image, 4, 4, 'bicubic', { left: 1, top: 0, width: 4, height: 4 })).toThrow(/region/);
  expect(() => resize(image, 4, 4, 'bicubic', { left: 0, top: -1, width: 4, height: 4 })).toThrow(/region/);
});
