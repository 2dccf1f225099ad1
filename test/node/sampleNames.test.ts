import { expect, test } from 'vitest';
import { sampleOrder } from '../../src/node/sampleNames.ts';

const names = Array.from({ length: 500 }, (_, i) => `${String(i).padStart(3, '0')}.png`);

test('a sample is the same on every machine', () => {
  // positions ordered by Philox-2x32-10 of (position, 0x73616d70) under the seed, computed in Python
  expect(sampleOrder(names, 0).slice(0, 4)).toEqual(['295.png', '472.png', '424.png', '442.png']);
  expect(sampleOrder(names, 4294967295).slice(0, 4)).toEqual(['369.png', '357.png', '179.png', '061.png']);
});

test('every name is in it once, whatever the seed', () => {
  for (const seed of [0, 1, 2 ** 32 - 1]) {
    const order = sampleOrder(names, seed);
    expect(order).not.toEqual(names);
    expect([...order].sort()).toEqual(names);
  }
});

test('each position is drawn as often as another', () => {
  const draws = new Array<number>(10).fill(0);
  const ten = names.slice(0, 10);
  for (let seed = 0; seed < 2000; seed++) {
    const first = ten.indexOf(sampleOrder(ten, seed)[0] as string);
    draws[first] = (draws[first] as number) + 1;
  }
  // 200 expected each, standard deviation 13.4
  expect(Math.min(...draws)).toBeGreaterThan(140);
  expect(Math.max(...draws)).toBeLessThan(260);
});
