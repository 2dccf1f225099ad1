import type { BufferPool } from '../../src/gpu/buffers.ts';
import { dyadic, packDyadics } from '../../src/kernels/dyadic.ts';
import { matmulRequantize, type MatmulRequantizeParams } from '../../src/kernels/matmulRequantize.ts';
import type { MatmulVariant } from '../../src/kernels/matmulVariant.ts';
import { denseOutput, outputExtent } from '../../src/kernels/requantizedLayout.ts';
import { packDepthMajor, packRowMajor } from '../../src/reference/codes.ts';
import { packInt16 } from '../../src/reference/fixedPoint.ts';
import { matmulRequantizeReference, type MatmulRequantizeWords } from '../../src/reference/matmulRequantize.ts';
import { expectSame, random, randomCodes, randomTwinCodes, runInto, uploadInJunk } from './codes.ts';
import { randomInt16 } from './int16.ts';

export const JUNK = 0xa5c3f019; // what runInto fills outputs with

export type Operands = Omit<MatmulRequantizeWords, 'y'>;

/** A product of random operands. */
export interface RequantizeCase {
  readonly layout: 'left' | 'right' | 'right-transposed' | 'int16' | 'int32';
  readonly images?: number;
  readonly heads?: number;
  readonly rows: number;
  readonly depth: number;
  readonly planes?: 1 | 2;
  readonly columns: number;
  readonly aKind?: MatmulRequantizeParams['aKind'];
  readonly shift?: number;
  readonly perHead?: boolean;
  readonly withBias?: boolean;
  readonly withResidual?: boolean;
  readonly seed?: number;
}

/** Dense operands and outputs; rescales per column, or one a head, that fill the range and clamp a few. */
export function requantizeCase(shape: RequantizeCase): { params: MatmulRequantizeParams; data: Operands } {
  const { layout, images = 1, heads = 1, rows, depth, columns, aKind = 'uniform', shift = 0, perHead = false } = shape;
  const { planes = 1, withBias = true, withResidual = false, seed = 1 } = shape;
  const next = random(seed);
  const batch = images * heads;
  const words = Math.ceil(depth / 4);
  const codesA = (aKind === 'uniform' ? randomCodes : randomTwinCodes)(batch * rows * planes * depth, 8, next);
  const codesB = randomCodes(batch * columns * depth, 8, next);
  const output = denseOutput(layout, { heads, rows, columns });
  const wide = layout === 'int16';
  // Codes of a twin operand are mostly the coarse ones, so sums have a deviation near this.
  const deviation = 74 * Math.sqrt(depth) * (aKind === 'uniform' ? 74 : 64 * 2 ** shift);
  const largest = (wide ? 12_000 : 50) / deviation;
  const ratio = () => Math.min(largest * (0.5 + next()), wide ? 1 : 0.249);
  const dyadics = Array.from({ length: perHead ? heads : heads * columns }, () => dyadic(ratio(), wide ? 'int16' : 8));
  const bias = Int32Array.from({ length: heads * columns }, () => Math.round((next() - 0.5) * deviation));
  const residual = packInt16(randomInt16(batch * rows * columns, next), columns);
  return {
    params: {
      images,
      heads,
      rows,
      depth,
      planes,
      columns,
      aKind,
      aBits: 8,
      shift,
      b: { offset: 0, imageStride: heads * words * columns, headStride: words * columns, rowStride: columns },
      bias: { offset: 0, headStride: columns },
      rescale: { offset: 0, headStride: perHead ? 1 : columns, columnStride: perHead ? 0 : 1 },
      output,
      ...(withResidual ? { residual: { ...dyadic(0.8, 'term'), offset: 0 } } : {}),
    },
    data: {
      a: packRowMajor(codesA, planes * rows, depth),
      b: packDepthMajor(codesB, columns, depth),
      bias: withBias ? bias : null,
      rescale: layout === 'int32' ? null : packDyadics(dyadics),
      residual: withResidual ? residual : null,
    },
  };
}

/** Runs the kernel on a result full of junk, junk round every operand; the `words` of the result. */
export async function runRequantize(
  shared: { readonly device: GPUDevice; readonly pool: BufferPool },
  params: MatmulRequantizeParams,
  data: Operands,
  words: number,
): Promise<Uint32Array> {
  const upload = (array: Uint32Array | Int32Array | null, label: string) =>
    array && uploadInJunk(shared.pool, new Uint32Array(array.buffer, array.byteOffset, array.length), label);
  const buffers = {
    a: uploadInJunk(shared.pool, data.a, 'a'),
    b: uploadInJunk(shared.pool, data.b, 'b'),
    bias: upload(data.bias, 'bias'),
    rescale: upload(data.rescale, 'rescale'),
    residual: upload(data.residual, 'residual'),
  };
  try {
    const bytes = await runInto(shared.pool, words, async (y) => [
      await matmulRequantize(shared.device, { ...buffers, y }, params),
    ]);
    return new Uint32Array(bytes);
  } finally {
    for (const buffer of Object.values(buffers)) if (buffer) shared.pool.release(buffer);
  }
}

/** The case in each of `variants`: every word equal to the twin's. */
export async function expectVariants(
  shared: { readonly device: GPUDevice; readonly pool: BufferPool },
  shape: RequantizeCase,
  variants: readonly MatmulVariant[],
): Promise<void> {
  const { params, data } = requantizeCase(shape);
  const y = new Uint32Array(outputExtent(params.output, params)).fill(JUNK);
  matmulRequantizeReference({ ...data, y }, params);
  for (const variant of variants) expectSame(await runRequantize(shared, { ...params, variant }, data, y.length), y);
}

export const REQUANTIZED_LAYOUTS = ['left', 'right', 'right-transposed', 'int16', 'int32'] as const;

/** Tails of every kind, and the products of DeiT-Tiny. */
export const REQUANTIZE_CASES: readonly RequantizeCase[] = [
  ...REQUANTIZED_LAYOUTS.flatMap((layout) => [
    ...[1, 3, 5, 18, 67].map((n) => ({ layout, rows: n, depth: 6, columns: n, seed: n })),
    ...[1, 3, 33, 67].map((n) => ({
      layout,
      rows: 5,
      depth: n,
      columns: 7,
      seed: n,
      aKind: 'twin-gelu' as const,
      shift: 5,
    })),
    { layout, rows: 19, depth: 33, planes: 2 as const, columns: 70, aKind: 'twin-gelu' as const, shift: 7 },
  ]),
  { layout: 'right', rows: 255, depth: 3, columns: 257, heads: 2, images: 2 },
  { layout: 'int16', images: 2, rows: 197, depth: 192, columns: 192, withResidual: true },
  { layout: 'left', heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax', shift: 9 },
  {
    layout: 'left',
    images: 2,
    heads: 3,
    rows: 37,
    depth: 197,
    planes: 2,
    columns: 64,
    aKind: 'twin-softmax',
    shift: 7,
  },
];
