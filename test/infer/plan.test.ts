import { describe, expect, test } from 'vitest';
import {
  inputsOf,
  outputsOf,
  type IntegerLayout,
  type IntegerOperation,
  type IntegerProgram,
  type IntegerTensor,
} from '../../src/format/program.ts';
import { UnsupportedDeviceError } from '../../src/gpu/errors.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { PADDED_SWIN } from '../support/randomModel.ts';
import { largestBatch, lifetimes, planMemory, tensorBytes, type MemoryPlan } from '../../src/infer/plan.ts';

const ALIGNMENT = 256;
const LIMITS = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  minStorageBufferOffsetAlignment: 256,
};

const tensor = (layout: IntegerLayout, heads: number, rows: number, columns: number): IntegerTensor => {
  return { layout, heads, rows, columns, scales: [1] };
};

/** Operations of a vision transformer as far as a plan looks at them: who reads and writes what, in which shape. */
function transformer(depth: number, heads: number, headDim: number, rows: number, classes: number): IntegerProgram {
  const width = heads * headDim;
  const tensors: Record<string, IntegerTensor> = { pixels: tensor('pixels', 1, 224, 224) };
  const operations: IntegerOperation[] = [];
  const add = (operation: object, outputs: Record<string, IntegerTensor>) => {
    Object.assign(tensors, outputs);
    operations.push({ name: `operation ${operations.length}`, ...operation } as IntegerOperation);
  };
  const linear = (input: string, name: string, shape: IntegerTensor, residual: string | null = null) => {
    const outputs = [{ tensor: name, first: 0 }];
    add({ kind: 'linear', input, outputs, residual: residual && { tensor: residual } }, { [name]: shape });
  };
  const row = (layout: IntegerLayout, columns: number) => tensor(layout, 1, rows, columns);
  add({ kind: 'patches', input: 'pixels', output: 'patches' }, { patches: tensor('left', 1, rows - 1, 768) });
  linear('patches', 'embedded', tensor('int16', 1, rows - 1, width));
  add({ kind: 'tokens', input: 'embedded', output: 'x0' }, { x0: row('int16', width) });
  let x = 'x0';
  for (let i = 0; i < depth; i++) {
    add({ kind: 'layerNorm', input: x, output: `${i}.n1` }, { [`${i}.n1`]: row('left', width) });
    const parts = [`${i}.q`, `${i}.k`, `${i}.v`] as const;
    const layouts = ['left', 'right-transposed', 'right'] as const;
    add(
      { kind: 'linear', input: `${i}.n1`, outputs: parts.map((name) => ({ tensor: name })), residual: null },
      Object.fromEntries(parts.map((name, j) => [name, tensor(layouts[j] as IntegerLayout, heads, rows, headDim)])),
    );
    const logits = tensor('int32', heads, rows, rows);
    add({ kind: 'product', a: parts[0], b: parts[1], output: `${i}.l` }, { [`${i}.l`]: logits });
    add({ kind: 'softmax', input: `${i}.l`, output: `${i}.p` }, { [`${i}.p`]: tensor('left', heads, rows, rows) });
    add({ kind: 'product', a: `${i}.p`, b: parts[2], output: `${i}.c` }, { [`${i}.c`]: row('left', width) });
    linear(`${i}.c`, `${i}.x1`, row('int16', width), x);
    add({ kind: 'layerNorm', input: `${i}.x1`, output: `${i}.n2` }, { [`${i}.n2`]: row('left', width) });
    linear(`${i}.n2`, `${i}.h`, row('left', 4 * width));
    add({ kind: 'gelu', input: `${i}.h`, output: `${i}.g` }, { [`${i}.g`]: row('left', 4 * width) });
    linear(`${i}.g`, `${i}.x2`, row('int16', width), `${i}.x1`);
    x = `${i}.x2`;
  }
  add({ kind: 'layerNorm', input: x, output: 'normed', row: 0 }, { normed: tensor('left', 1, 1, width) });
  linear('normed', 'logits', tensor('int32', 1, 1, classes));
  return { input: 'pixels', output: 'logits', tensors, operations };
}

/** What is wrong with a plan: overlap in time and place, a slab read and written at once, a place outside, bad alignment. */
function problems(program: IntegerProgram, { images, slabs, tensors }: MemoryPlan): string[] {
  const found: string[] = [];
  const alive = lifetimes(program);
  const placed = [...tensors];
  for (const [i, [name, a]] of placed.entries()) {
    const life = alive.get(name);
    if (a.bytes < tensorBytes(program.tensors[name] as IntegerTensor, images)) found.push(`${name} is short`);
    if (a.offset % ALIGNMENT !== 0) found.push(`${name} is at ${a.offset}`);
    if (a.offset + a.bytes > (slabs[a.slab] ?? 0)) found.push(`${name} is outside its slab`);
    for (const [other, b] of placed.slice(0, i)) {
      const otherLife = alive.get(other);
      const together = life && otherLife && life.first <= otherLife.last && otherLife.first <= life.last;
      const overlap = a.slab === b.slab && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      if (together && overlap) found.push(`${name} lies on ${other}`);
    }
  }
  for (const operation of program.operations) {
    for (const read of inputsOf(operation)) {
      for (const written of outputsOf(operation)) {
        if (tensors.get(read)?.slab === tensors.get(written)?.slab) found.push(`${operation.name}: one slab`);
      }
    }
  }
  return found;
}

/** Bytes alive at the fullest operation: no plan needs fewer. */
function leastBytes(program: IntegerProgram, images: number): number {
  const alive = lifetimes(program);
  return Math.max(
    ...program.operations.map((_, at) =>
      [...alive].reduce((sum, [name, { first, last }]) => {
        const counts = first <= at && at <= last;
        return sum + (counts ? tensorBytes(program.tensors[name] as IntegerTensor, images) : 0);
      }, 0),
    ),
  );
}

const TINY = transformer(12, 3, 64, 197, 1000);
const BASE = transformer(12, 12, 64, 197, 1000);
const LARGE = transformer(24, 16, 64, 577, 1000);
/** No tensor of it is as large as its largest slab. */
const FLAT = transformer(2, 2, 256, 197, 1000);
const ODD = transformer(2, 3, 5, 7, 3);

describe('the plan', () => {
  test('counts the bytes of every layout', () => {
    const padded = (bytes: number) => 16 * Math.ceil(bytes / 16);
    expect(tensorBytes(tensor('pixels', 1, 5, 7), 3)).toBe(padded(3 * 5 * 7 * 3));
    expect(tensorBytes(tensor('left', 2, 5, 6), 3)).toBe(padded(3 * 2 * 5 * 8));
    expect(tensorBytes(tensor('right', 2, 5, 6), 3)).toBe(padded(3 * 2 * 8 * 6));
    expect(tensorBytes(tensor('right-transposed', 2, 5, 6), 3)).toBe(padded(3 * 2 * 5 * 8));
    expect(tensorBytes(tensor('int16', 1, 5, 7), 3)).toBe(padded(3 * 5 * 16));
    expect(tensorBytes(tensor('int32', 2, 5, 7), 3)).toBe(padded(3 * 2 * 5 * 7 * 4));
    expect(tensorBytes(tensor('left', 1, 1, 1), 1)).toBe(16);
  });

  test('knows from when to when each tensor is needed', () => {
    const alive = lifetimes(TINY);
    const at = (output: string) => TINY.operations.findIndex((operation) => outputsOf(operation).includes(output));
    expect(alive.get('pixels')).toEqual({ first: -1, last: 0 });
    expect(alive.get('x0')).toEqual({ first: at('x0'), last: at('0.x1') });
    expect(alive.get('0.v')).toEqual({ first: at('0.v'), last: at('0.c') });
    expect(alive.get('logits')).toEqual({ first: TINY.operations.length - 1, last: TINY.operations.length });
  });

  test.each([
    ['DeiT-Tiny', TINY, 1],
    ['DeiT-Tiny', TINY, 3],
    ['DeiT-Tiny', TINY, 64],
    ['ViT-Base', BASE, 8],
    ['ViT-Large at 384', LARGE, 2],
    ['odd sizes', ODD, 1],
    ['odd sizes', ODD, 5],
  ] as const)(
    'of %s, batch %#: no two tensors at one place at one time, no slab read and written',
    (_, program, images) => {
      const plan = planMemory(program, images, ALIGNMENT);
      expect(plan.tensors.size).toBe(Object.keys(program.tensors).length);
      expect(problems(program, plan)).toEqual([]);
    },
  );

  test('keeps an output that nothing reads away from those that are written after it', () => {
    const program = transformer(1, 1, 8, 5, 3);
    const qkv = program.operations.find((operation) => operation.kind === 'linear' && operation.outputs.length === 3);
    const outputs = qkv?.kind === 'linear' ? [{ tensor: 'unread', first: 24 }, ...qkv.outputs] : [];
    const operations = program.operations.map((each) => (each === qkv ? ({ ...each, outputs } as typeof each) : each));
    const tensors = { ...program.tensors, unread: tensor('left', 1, 5, 8) };
    const plan = planMemory({ ...program, tensors, operations }, 1, ALIGNMENT);
    expect(plan.tensors.has('unread')).toBe(true);
    expect(problems({ ...program, tensors, operations }, plan)).toEqual([]);
  });

  test('needs little more than what is alive at once', () => {
    for (const [program, images, most] of [
      [TINY, 1, 1.15],
      [TINY, 8, 1.25],
      [BASE, 8, 1.25],
      [LARGE, 1, 1.1],
    ] as const) {
      const bytes = planMemory(program, images, ALIGNMENT).slabs.reduce((a, b) => a + b);
      expect(bytes / leastBytes(program, images)).toBeLessThan(most);
    }
    const all = Object.values(TINY.tensors).reduce((sum, shape) => sum + tensorBytes(shape, 8), 0);
    expect(planMemory(TINY, 8, ALIGNMENT).slabs.reduce((a, b) => a + b)).toBeLessThan(all / 8);
  });

  test('keeps to a larger alignment', () => {
    const offsets = [...planMemory(TINY, 3, 4096).tensors.values()].map(({ offset }) => offset);
    expect(offsets.filter((offset) => offset % 4096 !== 0)).toEqual([]);
    expect(new Set(offsets).size).toBeGreaterThan(1);
  });

  test('has temporaries for float operations only where they are asked for', () => {
    expect(planMemory(TINY, 2, ALIGNMENT).scratch).toBe(0);
    expect(planMemory(TINY, 2, ALIGNMENT, new Set(['softmax'])).scratch).toBe(16 * Math.ceil((2 * 3 * 197 ** 2) / 4));
    expect(planMemory(TINY, 2, ALIGNMENT, new Set(['layerNorm'])).scratch).toBe(4 * 2 * 197 * 192);
  });
});

test('windows count as so many images of a tensor and of the temporaries of float operations', async () => {
  const { program } = (await exportedNetwork(PADDED_SWIN, { count: 1 })).integer;
  const scores = program.tensors['layers.0.blocks.1.biased'] as IntegerTensor;
  expect(scores).toMatchObject({ windows: 9, heads: 2, rows: 9, columns: 9 });
  expect(tensorBytes(scores, 2)).toBe(16 * Math.ceil((4 * 2 * 9 * 2 * 81) / 16));
  const largest = 49 * 32 * 2; // of GELU; softmax has 9 * 2 * 81 = 1458 elements an image, LayerNorm 49 * 16
  expect(planMemory(program, 2, ALIGNMENT, new Set(['softmax'])).scratch).toBe(4 * 2 * 1458);
  expect(planMemory(program, 2, ALIGNMENT, new Set(['softmax', 'gelu'])).scratch).toBe(4 * largest);
});

describe('the largest batch', () => {
  test('is 64 where that fits, and never more than asked for', () => {
    expect(largestBatch(TINY, LIMITS)).toBe(64);
    expect(largestBatch(TINY, LIMITS, 1000)).toBe(64);
    expect(largestBatch(TINY, LIMITS, 5)).toBe(5);
    expect(() => largestBatch(TINY, LIMITS, 0)).toThrow(RangeError);
  });

  test('fits the binding limit exactly', () => {
    const logits = (images: number) => tensorBytes(TINY.tensors['0.l'] as IntegerTensor, images);
    const binding = (size: number) => ({ ...LIMITS, maxStorageBufferBindingSize: size });
    expect(largestBatch(TINY, binding(logits(7)))).toBe(7);
    expect(largestBatch(TINY, binding(logits(7) - 1))).toBe(6);
  });

  test('fits the slabs into buffers exactly', () => {
    const buffer = (size: number) => ({ ...LIMITS, maxBufferSize: size });
    const { slabs, tensors } = planMemory(FLAT, 8, ALIGNMENT);
    const widest = Math.max(...slabs);
    expect(widest).toBeGreaterThan(Math.max(...[...tensors.values()].map(({ bytes }) => bytes)));
    expect(largestBatch(FLAT, buffer(widest), 8)).toBe(8);
    expect(largestBatch(FLAT, buffer(widest - 1), 8)).toBe(7);
  });

  test('counts the temporaries of float operations', () => {
    const binding = tensorBytes(TINY.tensors['0.h'] as IntegerTensor, 8);
    const limits = { ...LIMITS, maxStorageBufferBindingSize: Math.max(binding, 2 ** 22) };
    expect(largestBatch(TINY, limits, 8, new Set(['gelu']))).toBeLessThan(largestBatch(TINY, limits, 8));
  });

  test('of a model that does not fit at all is refused with the limit, the tensor and both numbers', () => {
    const limits = { ...LIMITS, maxStorageBufferBindingSize: 400_000 };
    const refusal = () => largestBatch(TINY, limits);
    expect(refusal).toThrow(UnsupportedDeviceError);
    expect(refusal).toThrow(/465712 bytes for tensor 0\.l, its maxStorageBufferBindingSize is 400000/);
    const widest = Math.max(...planMemory(FLAT, 1, ALIGNMENT).slabs);
    const small = { ...LIMITS, maxBufferSize: widest - 1 };
    expect(() => largestBatch(FLAT, small)).toThrow(`${widest} bytes for activations, its maxBufferSize is`);
  });
});
