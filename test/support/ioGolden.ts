import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';

const folder = new URL('../golden/io/', import.meta.url);

/** The bytes of one of the small drawn images, made by test/golden/io/makeImages.py. */
export function goldenImage(name: string): Uint8Array {
  return readFileSync(new URL(`images/${name}`, folder));
}

/** The cases of a golden listing and a function that takes the next bytes of its data, in order. */
export function goldenCases<Case>(stem: string): {
  cases: Case[];
  take: (length: number) => Uint8Array;
  left: () => number;
} {
  const data = new Uint8Array(inflateSync(readFileSync(new URL(`${stem}.bin`, folder))));
  let position = 0;
  return {
    cases: JSON.parse(readFileSync(new URL(`${stem}.json`, folder), 'utf8')) as Case[],
    take: (length) => data.subarray(position, (position += length)),
    left: () => data.length - position,
  };
}

/** The index of the first element that differs, or -1: a failing `toEqual` of 100 000 numbers would print for minutes. */
export function firstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Math.min(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) if (!Object.is(actual[i], expected[i])) return i;
  return -1;
}
