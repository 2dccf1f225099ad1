import { expect } from 'vitest';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { submit, type Dispatch } from '../../src/gpu/kernel.ts';
import { readBytes } from '../../src/gpu/readback.ts';

const JUNK = 0xa5c3f019;

/** Reproducible random numbers in [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A buffer that holds `data` and then a few words of junk, as a neighbour in a pool would leave. */
export function uploadInJunk(pool: BufferPool, data: Float32Array | Uint32Array, label: string): GPUBuffer {
  const whole = new Uint32Array(data.length + 9).fill(JUNK);
  whole.set(new Uint32Array(data.buffer, data.byteOffset, data.length));
  return pool.upload(whole, label);
}

/** Runs `dispatches` that write `words` words of an output full of junk; fails when anything after them changed. */
export async function runInto(
  pool: BufferPool,
  words: number,
  dispatches: (output: GPUBuffer) => Promise<Dispatch[]>,
): Promise<ArrayBuffer> {
  const output = pool.upload(new Uint32Array(words + 9).fill(JUNK), 'output');
  try {
    submit(pool.device, await dispatches(output));
    const bytes = await readBytes(pool.device, output, 4 * (words + 9));
    expect([...new Uint32Array(bytes, 4 * words)]).toEqual(Array.from({ length: 9 }, () => JUNK));
    return bytes.slice(0, 4 * words);
  } finally {
    pool.release(output);
  }
}

/** Random codes of `bits` bits as integers in -q..q-1. */
export function randomCodes(count: number, bits: number, next: () => number): Int8Array {
  const q = 2 ** (bits - 1);
  return Int8Array.from({ length: count }, () => Math.floor(next() * 2 * q) - q);
}

/** Random twin codes: flag and magnitude of `bits` bits as bytes. */
export function randomTwinCodes(count: number, bits: number, next: () => number): Uint8Array {
  return Uint8Array.from({ length: count }, () => Math.floor(next() * 2 ** bits));
}

/** Every element equal, bit for bit but for the kind of NaN; names the first that differs instead of printing both arrays. */
export function expectSame(actual: Float32Array | Int32Array | Uint32Array, expected: typeof actual): void {
  expect(actual.length).toBe(expected.length);
  const at = actual.findIndex((value, i) => !Object.is(value, expected[i]));
  expect(at < 0 ? 'all equal' : `element ${at}: ${actual[at]}, expected ${expected[at]}`).toBe('all equal');
}
