import { BufferPool } from '../../src/gpu/buffers.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { release } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { denseMatrix, matmulF32 } from '../../src/kernels/matmulF32.ts';
import { alternate, medianOf } from '../support/alternate.ts';
import { atLeast, atMost, printClaims, printTable } from '../support/table.ts';
import { integerProduct, operationsOf, tileName, tilesOf, type Product } from './product.ts';
import { floats } from './random.ts';
import { runDispatches } from './runDispatches.ts';
import { sampledError } from './sampledError.ts';
import type { Tfjs } from './tfjs.ts';

/** qkv, fc1 and fc2 of DeiT-Tiny and DeiT-Small. */
const SHAPES = [
  [192, 576],
  [192, 768],
  [768, 192],
  [384, 1152],
  [384, 1536],
  [1536, 384],
] as const;
const TOKENS = 197;

/** Our integer products and float product against TensorFlow.js's float product on the same adapter, in turns. */
export async function checkTfjs(gpu: Gpu, tfjs: Tfjs, batches: readonly number[] = [1, 8]): Promise<number> {
  if (tfjs.adapter !== gpu.adapter.description) {
    throw new Error(`TensorFlow.js runs on ${tfjs.adapter}, we on ${gpu.adapter.description}`);
  }
  const rows: string[][] = [];
  let [leastInteger, leastTwin, mostWrong, worstError] = [Infinity, Infinity, 0, 0];
  for (const images of batches) {
    for (const [depth, columns] of SHAPES) {
      const { ratios, wrongWords, error, row } = await compare(gpu, tfjs, images * TOKENS, depth, columns);
      rows.push(row);
      leastInteger = Math.min(leastInteger, ratios.integer);
      leastTwin = Math.min(leastTwin, ratios.twin);
      mostWrong = Math.max(mostWrong, wrongWords);
      worstError = Math.max(worstError, error);
    }
  }
  printTable(
    `Products on ${gpu.adapter.description}: times the speed of TensorFlow.js ${tfjs.version} (WebGPU, float)`,
    ['rows x depth x columns', 'int8', 'twin', 'our float', 'TensorFlow.js, GOP/s', 'tile of int8', 'tile of twin'],
    rows,
  );
  return printClaims(`Products against TensorFlow.js on ${gpu.adapter.description}`, [
    atLeast('int8, the least of all shapes', leastInteger, 4),
    atLeast('twin codes, the least of all shapes', leastTwin, 4),
    atMost('words that differ from the reference', mostWrong, 0, 0),
    atMost('error of the float products, of the largest value', worstError, 1e-5),
  ]);
}

async function compare(gpu: Gpu, tfjs: Tfjs, rows: number, depth: number, columns: number) {
  const { device } = gpu;
  using pool = new BufferPool(device);
  const scope = pool.scope();
  const shape = { name: 'product', heads: 1, rows, depth, columns };
  const products: Product[] = [
    { ...shape, aKind: 'uniform', layout: 'left' },
    { ...shape, aKind: 'twin-gelu', layout: 'int16' },
  ];
  const tiles = await tilesOf(device, products);
  const integers = await Promise.all(products.map((product) => integerProduct(scope, product, tiles, 1)));

  const [a, b] = [floats(rows * depth, 1), floats(depth * columns, 2)];
  const c = scope.acquire(4 * rows * columns, 'c');
  const matrices = { a: denseMatrix(rows, depth), b: denseMatrix(depth, columns), c: denseMatrix(rows, columns) };
  const float = await matmulF32(
    device,
    { a: scope.upload(a, 'a'), b: scope.upload(b, 'b'), bias: null, c },
    { rows, columns, depth, heads: 1, images: 1, ...matrices },
  );
  const peer = tfjs.matmul(a, b, { rows, depth, columns });

  const dispatches = [...integers.map(({ dispatch }) => dispatch), float];
  const ours = dispatches.map((dispatch) => () => runDispatches(device, [dispatch]));
  const times = await alternate([() => peer.run(), ...ours], { least: 3, most: 15, ms: 2000 });
  const [theirs, integer, twin, own] = times.map(medianOf) as [number, number, number, number];

  const wrong = await Promise.all(integers.map(({ wrongWords }) => wrongWords()));
  const expected = sampledError(a, b, { rows, depth, columns });
  const error = Math.max(expected(await peer.result()), expected(await readF32(device, c, rows * columns)));
  peer.destroy();
  dispatches.forEach(release);
  scope.release();
  gpu.check();
  const [integerTile, twinTile] = products.map((product) => tileName(tiles, product)) as [string, string];
  return {
    ratios: { integer: theirs / integer, twin: theirs / twin },
    wrongWords: Math.max(...wrong),
    error,
    row: [
      `${rows} x ${depth} x ${columns}`,
      ...[integer, twin, own].map((ms) => (theirs / ms).toFixed(1)),
      (operationsOf({ ...shape, aKind: 'uniform', layout: 'left' }) / theirs / 1e6).toFixed(2),
      integerTile,
      twinTile,
    ],
  };
}
