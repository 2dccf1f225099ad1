import { expect, test } from 'vitest';
import { deadLeaves, largest, similarityEntropy } from '../../src/calibrate/syntheticImages.ts';

test('an image depends on seed and number alone, and uses the whole range of values', () => {
  const image = deadLeaves(64, [3, 5]);
  expect(image).toHaveLength(3 * 64 * 64);
  expect(deadLeaves(64, [3, 5])).toEqual(image);
  expect(deadLeaves(64, [3, 6])).not.toEqual(image);
  expect(deadLeaves(64, [4, 5])).not.toEqual(image);
  expect(Math.min(...image)).toBeLessThan(40);
  expect(Math.max(...image)).toBeGreaterThan(215);
});

test('neighbours are alike and far pixels are not, as in photographs', () => {
  const size = 64;
  const difference = (distance: number) => {
    let sum = 0;
    let count = 0;
    for (let number = 0; number < 8; number++) {
      const image = deadLeaves(size, [0, number]);
      for (let row = 0; row < size; row++) {
        for (let column = 0; column + distance < size; column++) {
          const at = 3 * (row * size + column);
          sum += Math.abs((image[at] as number) - (image[at + 3 * distance] as number));
          count++;
        }
      }
    }
    return sum / count;
  };
  const [near, middle, far] = [difference(1), difference(4), difference(24)] as const;
  expect(near).toBeLessThan(0.6 * middle);
  expect(middle).toBeLessThan(0.9 * far);
});

test('entropy is 0 when all patches are alike and grows with their variety', () => {
  const same = new Float32Array(6 * 4).fill(1);
  expect(similarityEntropy(same, 4)).toBe(0);
  const two = Float32Array.from([1, 0, 1, 0, 0, 1, 0, 1]); // cosines 1, 0, 0, 0, 0, 1
  expect(similarityEntropy(two, 2)).toBeCloseTo(-(1 / 3) * Math.log(1 / 3) - (2 / 3) * Math.log(2 / 3), 12);
});

test('the images in which the network sees most are kept, in the order in which they were drawn', () => {
  expect(largest([0.5, 3, 1, 2], 2)).toEqual([1, 3]);
  expect(largest([1, 2, 1, 2, 1], 3)).toEqual([0, 1, 3]); // of equals the first
  expect(largest([1, 2], 2)).toEqual([0, 1]);
});
