import type { BufferScope } from '../../src/gpu/buffers.ts';
import type { Dispatch } from '../../src/gpu/kernel.ts';
import { readBytes } from '../../src/gpu/readback.ts';
import { chooseTiles, type ProductShape, type TileChoice } from '../../src/infer/tiles.ts';
import { codeWords, type CodeKind } from '../../src/kernels/codes.ts';
import { dyadic, packDyadics } from '../../src/kernels/dyadic.ts';
import { matmulRequantize } from '../../src/kernels/matmulRequantize.ts';
import { describeVariant } from '../../src/kernels/matmulVariant.ts';
import { denseOutput, outputExtent, type DenseLayout } from '../../src/kernels/requantizedLayout.ts';
import { matmulRequantizeReference } from '../../src/reference/matmulRequantize.ts';
import { floats, words } from './random.ts';

/** A product of a float network, `heads` times `[rows][depth] x [depth][columns]`, and the integer one that takes its place. */
export interface Product {
  readonly name: string;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
  readonly layout: DenseLayout;
}

const TWIN_SHIFT = 4;

export function operationsOf({ heads, rows, depth, columns }: Product): number {
  return 2 * heads * rows * depth * columns;
}

/** The fastest tile of each of `products`, by the trial that a session makes. */
export function tilesOf(device: GPUDevice, products: readonly Product[]): Promise<TileChoice> {
  return chooseTiles(device, products.map(shapeOf));
}

function shapeOf({ heads, rows, depth, columns, aKind, layout }: Product): ProductShape {
  const { type } = denseOutput(layout, { heads, rows, columns });
  return { images: 1, heads, rows, depth, columns, aKind, outputType: type };
}

export function tileName(tiles: TileChoice, product: Product): string {
  return describeVariant(tiles.variantFor(shapeOf(product)));
}

export interface IntegerProduct {
  readonly dispatch: Dispatch;
  /** Words of the first and last rows that differ from the reference's. */
  readonly wrongWords: () => Promise<number>;
}

/** `product` as a session runs it, on random codes: with bias and rescale, codes or integers of 16 bits written. */
export async function integerProduct(
  scope: BufferScope,
  product: Product,
  tiles: TileChoice,
  seed: number,
): Promise<IntegerProduct> {
  const { heads, rows, depth, columns, aKind, layout } = product;
  const shift = aKind === 'uniform' ? 0 : TWIN_SHIFT;
  const output = denseOutput(layout, { heads, rows, columns });
  const depthWords = codeWords(depth);
  const data = {
    a: words(heads * rows, depth, seed),
    b: words(heads * depthWords, 4 * columns, seed + 1), // codes past the depth meet zeros of a
    bias: Int32Array.from(floats(columns, seed + 2), (value) => Math.round(1e4 * value)),
    rescale: layout === 'int32' ? null : packDyadics(rescales(product, shift)),
    residual: null,
  };
  const { device } = scope.pool;
  const y = scope.acquire(4 * outputExtent(output, { images: 1, heads, rows, columns }), 'y');
  const params = {
    images: 1,
    heads,
    rows,
    depth,
    columns,
    aKind,
    aBits: 8,
    shift,
    output,
    b: { offset: 0, imageStride: 0, headStride: depthWords * columns, rowStride: columns },
  };
  const dispatch = await matmulRequantize(
    device,
    {
      a: scope.upload(data.a, 'a'),
      b: scope.upload(data.b, 'b'),
      bias: scope.upload(data.bias, 'bias'),
      rescale: data.rescale && scope.upload(data.rescale, 'rescale'),
      residual: null,
      y,
    },
    { ...params, variant: tiles.variantFor(shapeOf(product)) },
  );
  const wrongWords = async () => {
    const written = new Uint32Array(await readBytes(device, y));
    const wanted = written.slice();
    for (const row of [0, Math.max(0, rows - CHECKED_ROWS)]) {
      matmulRequantizeReference(
        { ...data, y: wanted },
        {
          ...params,
          rows: Math.min(rows, CHECKED_ROWS),
          a: { offset: row * depthWords, imageStride: 0, headStride: rows * depthWords, rowStride: depthWords },
          output: { ...output, view: { ...output.view, offset: row * output.view.rowStride } },
        },
      );
    }
    return written.reduce((count, word, i) => count + (word === wanted[i] ? 0 : 1), 0);
  };
  return { dispatch, wrongWords };
}

/** Rows compared with the reference at either end. */
const CHECKED_ROWS = 16;

/** A rescale that spreads sums of random codes over most of what the output holds. */
function rescales({ depth, columns, aKind, layout }: Product, shift: number) {
  const deviationOfA = aKind === 'uniform' ? 74 : 74 * 2 ** (shift - 0.5);
  const [form, spread] = layout === 'int16' ? (['int16', 12_000] as const) : ([8, 50] as const);
  const rescale = dyadic(spread / (deviationOfA * 74 * Math.sqrt(depth)), form);
  return new Array(columns).fill(rescale) as (typeof rescale)[];
}
