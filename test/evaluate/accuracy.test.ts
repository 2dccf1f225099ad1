import { expect, test } from 'vitest';
import { accuracy } from '../../src/evaluate/accuracy.ts';

const table = { logits: Float32Array.of(9, 1, 2, 3, 4, 5, 0, 5, 4, 3, 2, 1), classes: 6 };

test('a label counts when it is first, or among the first five', () => {
  expect(accuracy(table, [0, 1])).toEqual({ top1: 1, top5: 1 });
  expect(accuracy(table, [5, 2])).toEqual({ top1: 0, top5: 1 });
  expect(accuracy(table, [1, 0])).toEqual({ top1: 0, top5: 0 });
  expect(accuracy(table, [0, 0])).toEqual({ top1: 0.5, top5: 0.5 });
});

test('of equal logits the lower class comes first', () => {
  const equal = { logits: new Float32Array(6), classes: 6 };
  expect(accuracy(equal, [0])).toEqual({ top1: 1, top5: 1 });
  expect(accuracy(equal, [4])).toEqual({ top1: 0, top5: 1 });
  expect(accuracy(equal, [5])).toEqual({ top1: 0, top5: 0 });
});

test.each([
  [[0], '1 labels for 2 images'],
  [[0, 6], 'label 6 of image 1 is outside 0..5'],
  [[-1, 0], 'label -1 of image 0'],
  [[0.5, 0], 'label 0.5 of image 0'],
])('labels %j are refused', (labels, message) => {
  expect(() => accuracy(table, labels)).toThrow(message);
});
