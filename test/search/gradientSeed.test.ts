import { describe, expect, test } from 'vitest';
import { fisherSeed, softmax } from '../../src/calibrate/gradientSeed.ts';
import { philox2x32 } from '../../src/calibrate/random.ts';

const hash = (n: number) => n.toString(16).padStart(16, '3').padEnd(64, '0');

test.each([
  // Known answers of the authors' Random123 (kat_vectors, philox2x32 10).
  [[0, 0], 0, [0xff1dae59, 0x6cd10df2]],
  [[0xffffffff, 0xffffffff], 0xffffffff, [0x2c3f628b, 0xab4fd7ad]],
  [[0x243f6a88, 0x85a308d3], 0x13198a2e, [0xdd7ce038, 0xf62a4c12]],
] as const)('philox2x32 of %j with key %i', (counter, key, expected) => {
  expect(philox2x32(counter, key)).toEqual(expected);
});

describe('fisher seed', () => {
  const logits = Float32Array.of(2, 1, 0, -1);

  test('is softmax minus a one-hot of some class', () => {
    const p = softmax(logits);
    const seed = fisherSeed(logits, { seed: 0, imageSha256: hash(1) });
    const difference = [...seed].map((s, i) => (p[i] as number) - s);
    expect(difference.map((d) => Math.abs(Math.round(d))).sort()).toEqual([0, 0, 0, 1]);
    difference.forEach((d) => expect(Math.abs(d - Math.round(d))).toBeLessThan(1e-6));
  });

  test('draws classes as often as their probability says', () => {
    const p = softmax(logits);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) {
      const imageSha256 = `${((i * 2654435761) >>> 0).toString(16).padStart(8, '0')}${i.toString(16).padStart(56, '0')}`;
      const seed = fisherSeed(logits, { seed: 7, imageSha256 });
      const drawn = seed.findIndex((value) => value < 0);
      counts[drawn] = (counts[drawn] as number) + 1;
    }
    counts.forEach((count, i) => expect(Math.abs(count / 4000 - (p[i] as number))).toBeLessThan(0.03));
  });

  test('depends on the seed and on the image, and on nothing else', () => {
    const flat = new Float32Array(1000);
    const draw = (seed: number, image: number) =>
      fisherSeed(flat, { seed, imageSha256: image.toString(16).padStart(8, '0').padEnd(64, 'a') }).findIndex(
        (s) => s < 0,
      );
    expect(draw(3, 5)).toBe(draw(3, 5));
    expect(new Set([draw(3, 5), draw(4, 5), draw(3, 6), draw(4, 6)]).size).toBeGreaterThan(2);
  });

  test('logits that differ in their last bits draw the same class', () => {
    const other = logits.map((z) => z * (1 + 2 ** -22));
    for (let i = 0; i < 200; i++) {
      const key = { seed: i, imageSha256: hash(i) };
      expect(fisherSeed(other, key).findIndex((s) => s < 0)).toBe(fisherSeed(logits, key).findIndex((s) => s < 0));
    }
  });
});
