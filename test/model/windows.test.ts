import { expect, test } from 'vitest';
import { cutIntoWindows, mergedRows, relativePositions } from '../../src/model/windows.ts';

const rows = (count: number) => Array.from({ length: count }, (_, i) => i);

test.each([
  [4, 2, 2],
  [11, 4, 3],
  [7, 6, 2],
  [14, 7, 2],
  [9, 12, 1],
  [8, 8, 1],
])('windows of %i x %i tokens at most %i wide, %i a side', (resolution, windowSize, perSide) => {
  for (const shifted of [false, true]) {
    const { count, tokens, partition, reverse, mask } = cutIntoWindows(resolution, windowSize, shifted);
    expect([count, tokens]).toEqual([perSide ** 2, Math.min(resolution, windowSize) ** 2]);
    expect(mask !== null).toBe(shifted && perSide > 1);
    expect([partition !== null, reverse !== null]).toEqual([perSide > 1, perSide > 1]);
    if (!partition || !reverse) continue;
    expect(partition).toHaveLength(count * tokens);
    const wanted = [...new Array<number>(count * tokens - resolution ** 2).fill(-1), ...rows(resolution ** 2)];
    expect([...partition].toSorted((a, b) => a - b)).toEqual(wanted);
    expect([...reverse].map((at) => partition[at])).toEqual(rows(resolution ** 2));
  }
});

test('the first window of a shift starts half a window in, the last holds what came round', () => {
  const { partition, mask } = cutIntoWindows(4, 2, true);
  expect([...(partition as Int32Array)]).toEqual([5, 6, 9, 10, 7, 4, 11, 8, 13, 14, 1, 2, 15, 12, 3, 0]);
  const apart = [...(mask as Int32Array)].map((region, i, all) => region !== all[4 * Math.floor(i / 4)]);
  expect(apart.map(Number)).toEqual([0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1]);
});

test('pairs of the same offset share a row of the bias table', () => {
  expect([...relativePositions(2)]).toEqual([4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
  const pairs = relativePositions(7);
  expect(new Set(pairs)).toEqual(new Set(rows(13 ** 2)));
});

test('merging takes the four neighbours column by column, and pads an odd side', () => {
  expect([...mergedRows(4)].slice(0, 8)).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
  expect([...mergedRows(3)]).toEqual([0, 3, 1, 4, 2, 5, -1, -1, 6, -1, 7, -1, 8, -1, -1, -1]);
});
