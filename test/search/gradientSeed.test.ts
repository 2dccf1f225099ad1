import { describe, expect, test } from 'vitest';
import { CalibrationError } from '../../src/calibrate/errors.ts';
import { fisherSeed, gradientSeed, randomSigns, softmax } from '../../src/calibrate/gradientSeed.ts';
import { GRADIENT_SEEDS } from '../../src/calibrate/options.ts';
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

describe('seeds', () => {
  const logits = Float32Array.of(2, 1, 0, -1, 2);
  const p = softmax(logits);
  const key = { seed: 5, draw: 0, imageSha256: hash(3), file: 'cat.jpg' };
  const many = new Float32Array(4000);

  test('pseudo-label takes the first of the likeliest classes, label the given one', () => {
    const less = (hot: number) => Float32Array.from(p, (value, i) => value - (i === hot ? 1 : 0));
    expect(gradientSeed('pseudo-label', logits, key)).toEqual(less(0));
    for (const label of [0, 3, 4]) expect(gradientSeed('label', logits, { ...key, label })).toEqual(less(label));
  });

  test('label without a label, or with one that is no class, names the image', () => {
    expect(() => gradientSeed('label', logits, key)).toThrow(CalibrationError);
    expect(() => gradientSeed('label', logits, key)).toThrow('cat.jpg has no label');
    for (const label of [5, -1, 0.5]) {
      expect(() => gradientSeed('label', logits, { ...key, label })).toThrow(`cat.jpg has label ${label}`);
    }
  });

  test('perturbation is the diagonal of the Hessian of the KL divergence at the logits', () => {
    gradientSeed('perturbation', logits, key).forEach((value, i) => {
      expect(value).toBeCloseTo((p[i] as number) * (1 - (p[i] as number)), 7);
    });
  });

  test('draw 0 of fisher is the draw that there was before, and the four draws are independent', () => {
    const flat = new Float32Array(1000);
    const drawn = (draw: number, image: number) => {
      const imageSha256 = Array.from({ length: 8 }, (_, i) => (2654435761 * (8 * image + i + 1)) >>> 0)
        .map((word) => word.toString(16).padStart(8, '0'))
        .join('');
      const seed = gradientSeed('fisher', flat, { ...key, draw, imageSha256 });
      if (draw === 0) expect(seed).toEqual(fisherSeed(flat, { seed: 5, imageSha256 }));
      return seed.findIndex((value) => value < 0);
    };
    let same = 0;
    for (let image = 0; image < 50; image++)
      same += new Set([0, 1, 2, 3].map((d) => drawn(d, image))).size === 4 ? 0 : 1;
    expect(same).toBeLessThan(4); // chance of any two of four equal: 0.6 %
  });

  test('a random probe is standard normal times p, another for another image, seed or draw', () => {
    const probe = (change: object) => gradientSeed('random-probe', many, { ...key, ...change }).map((v) => 4000 * v);
    const numbers = probe({});
    const moment = (k: number) => numbers.reduce((sum, n) => sum + n ** k, 0) / numbers.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.06);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.09);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.6);
    expect(numbers.reduce((sum, n, i) => sum + n * (numbers[(i + 1) % 4000] as number), 0) / 4000).toBeLessThan(0.06);
    expect(new Set(numbers).size).toBeGreaterThan(3900);
    expect(probe({})).toEqual(numbers);
    for (const change of [{ seed: 6 }, { draw: 1 }, { imageSha256: 'ab'.repeat(32) }]) {
      expect(probe(change)).not.toEqual(numbers);
    }
    expect(gradientSeed('random-probe', logits, key)[3]).toBeCloseTo((p[3] as number) * (numbers[3] as number), 6);
  });

  test('random signs are fair, and others for another image', () => {
    const signs = randomSigns(4001, key);
    expect(new Set(signs)).toEqual(new Set([-1, 1]));
    expect(Math.abs(signs.reduce((sum, sign) => sum + sign, 0))).toBeLessThan(200);
    const lagged = signs.subarray(32).reduce((sum, sign, i) => sum + sign * (signs[i] as number), 0);
    expect(Math.abs(lagged)).toBeLessThan(200);
    expect(randomSigns(4001, { ...key, imageSha256: 'ab'.repeat(32) })).not.toEqual(signs);
  });

  test.each(GRADIENT_SEEDS)('%s does not depend on the last bits of the logits', (kind) => {
    const other = logits.map((z) => z * (1 + 2 ** -22));
    const [a, b] = [logits, other].map((z) => gradientSeed(kind, z, { ...key, label: 1 }));
    a!.forEach((value, i) => expect(b![i]).toBeCloseTo(value, 6));
  });
});
