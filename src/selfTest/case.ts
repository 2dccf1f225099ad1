import type { BufferPool, NumericArray } from '../gpu/buffers.ts';
import { submit, type Dispatch } from '../gpu/kernel.ts';
import { readBytes } from '../gpu/readback.ts';

/** One kernel on one small input against its reference twin. */
export interface SelfTestCase {
  readonly kernel: string;
  /** Which of the kernel's forms, where it has several; else empty. */
  readonly form: string;
  /** Normalised mean squared error sum (a - e)^2 / sum e^2 that is allowed; 0 asks for the same bits. */
  readonly bound: number;
  /** Runs the kernel; the result is its error in the sense of `bound`. */
  readonly measure: (pool: BufferPool) => Promise<number>;
}

type Prepare<Name extends string> = (
  device: GPUDevice,
  buffers: Readonly<Record<Name, GPUBuffer>>,
  output: GPUBuffer,
) => Promise<Dispatch>;

/** A kernel whose f32 results come within `bound` of those of its twin. */
export function floatCase<Name extends string>(
  kernel: string,
  inputs: Readonly<Record<Name, NumericArray>>,
  expected: ArrayLike<number>,
  bound: number,
  prepare: Prepare<NoInfer<Name>>,
  form = '',
): SelfTestCase {
  const measure = async (pool: BufferPool) => {
    const got = new Float32Array(await run(pool, inputs, expected.length, prepare));
    let error = 0;
    let power = 0;
    for (let i = 0; i < expected.length; i++) {
      error += ((got[i] as number) - (expected[i] as number)) ** 2;
      power += (expected[i] as number) ** 2;
    }
    return error / power;
  };
  return { kernel, form, bound, measure };
}

/** A kernel that must write the words of its twin, bit for bit; the error is the share of words that differ. */
export function exactCase<Name extends string>(
  kernel: string,
  inputs: Readonly<Record<Name, NumericArray>>,
  expected: Uint32Array,
  prepare: Prepare<NoInfer<Name>>,
  form = '',
): SelfTestCase {
  const measure = async (pool: BufferPool) => {
    const got = new Uint32Array(await run(pool, inputs, expected.length, prepare));
    return expected.reduce((differing, word, i) => differing + (word === got[i] ? 0 : 1), 0) / expected.length;
  };
  return { kernel, form, bound: 0, measure };
}

async function run<Name extends string>(
  pool: BufferPool,
  inputs: Readonly<Record<Name, NumericArray>>,
  words: number,
  prepare: Prepare<Name>,
): Promise<ArrayBuffer> {
  const scope = pool.scope();
  try {
    const uploaded = Object.entries<NumericArray>(inputs).map(([name, data]) => [name, scope.upload(data, name)]);
    const output = scope.zeros(4 * words, 'output');
    submit(pool.device, [await prepare(pool.device, Object.fromEntries(uploaded) as Record<Name, GPUBuffer>, output)]);
    return await readBytes(pool.device, output, 4 * words);
  } finally {
    scope.release();
  }
}

/** Reproducible values in [-scale, scale). */
export function noise(count: number, seed: number, scale = 1): Float32Array {
  let state = (Math.imul(seed, 2654435761) + 12345) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return scale * ((state >>> 8) / 2 ** 23 - 1);
  });
}

/** Reproducible integers in `low..high`, both included. */
export function integers(count: number, seed: number, low: number, high: number): number[] {
  return Array.from(noise(count, seed), (x) => low + Math.floor(((x + 1) / 2) * (high - low + 1)));
}
