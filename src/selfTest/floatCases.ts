import { accumulatePowers, accumulatePowersKernel } from '../kernels/accumulatePowers.ts';
import { addF32, addF32Kernel } from '../kernels/addF32.ts';
import { attentionBiasF32, attentionBiasF32Kernel } from '../kernels/attentionBiasF32.ts';
import { assembleTokensF32, assembleTokensF32Kernel } from '../kernels/assembleTokensF32.ts';
import { columnSumsF32, columnSumsF32Kernel } from '../kernels/columnSumsF32.ts';
import { copyRowsF32, copyRowsF32Kernel } from '../kernels/copyRowsF32.ts';
import { geluBackwardF32, geluBackwardF32Kernel } from '../kernels/geluBackwardF32.ts';
import { geluF32, geluF32Kernel } from '../kernels/geluF32.ts';
import { layerNormBackwardF32, layerNormBackwardF32Kernel } from '../kernels/layerNormBackwardF32.ts';
import { layerNormF32, layerNormF32Kernel } from '../kernels/layerNormF32.ts';
import { denseMatrix, matmulF32, matmulF32Kernel, transposed, type MatmulF32Kind } from '../kernels/matmulF32.ts';
import { matmulF32SubgroupsKernel } from '../kernels/matmulF32Subgroups.ts';
import { rootMean, rootMeanKernel } from '../kernels/rootMean.ts';
import { scaleRowsF32, scaleRowsF32Kernel } from '../kernels/scaleRowsF32.ts';
import { hasSubgroupsOfFour } from '../kernels/subgroups.ts';
import { softmaxBackwardF32, softmaxBackwardF32Kernel } from '../kernels/softmaxBackwardF32.ts';
import { softmaxF32, softmaxF32Kernel } from '../kernels/softmaxF32.ts';
import { accumulatePowersReference } from '../reference/accumulatePowers.ts';
import { addF32Reference } from '../reference/addF32.ts';
import { assembleTokensF32Reference } from '../reference/assembleTokensF32.ts';
import { attentionBiasF32Reference } from '../reference/attentionBiasF32.ts';
import { columnSumsReference } from '../reference/columnSumsF32.ts';
import { copyRowsF32Reference } from '../reference/copyRowsF32.ts';
import { geluBackwardF32Reference } from '../reference/geluBackwardF32.ts';
import { geluF32Reference } from '../reference/geluF32.ts';
import { layerNormBackwardF32Reference } from '../reference/layerNormBackwardF32.ts';
import { layerNormF32Reference } from '../reference/layerNormF32.ts';
import { matmulF32Reference } from '../reference/matmulF32.ts';
import { rootMeanReference } from '../reference/rootMean.ts';
import { scaleRowsReference } from '../reference/scaleRowsF32.ts';
import { softmaxBackwardF32Reference } from '../reference/softmaxBackwardF32.ts';
import { softmaxF32Reference } from '../reference/softmaxF32.ts';
import { floatCase, integers, noise, type SelfTestCase } from './case.ts';

/** Rows and columns that are no multiple of a workgroup, a tile or a vector. */
const ROWS = 37;
const COLUMNS = 67;
const DEPTH = 21;
const COUNT = ROWS * COLUMNS;
const EPSILON = 1e-6;

/** The float forward and backward kernels; the bounds are those of their tests. */
export function floatCases(device: GPUDevice): SelfTestCase[] {
  const x = noise(COUNT, 1, 4);
  const y = noise(COUNT, 2);
  const gain = noise(COLUMNS, 3).map((v) => v + 1.5);
  const shift = noise(COLUMNS, 4);
  const probabilities = softmaxF32Reference(x, COLUMNS, 0.25);
  const rows = { rows: ROWS, columns: COLUMNS, scale: 0.25 };
  const norm = { rows: ROWS, features: COLUMNS, epsilon: EPSILON };
  return [
    floatCase(addF32Kernel.name, { a: x, b: y }, addF32Reference(x, y, 0.5), 1e-12, (device, buffers, out) =>
      addF32(device, { ...buffers, y: out }, { count: COUNT, scale: 0.5 }),
    ),
    columnSumsCase(x),
    scaleRowsCase(x),
    floatCase(geluF32Kernel.name, { x }, geluF32Reference(x), 1e-12, (device, buffers, out) =>
      geluF32(device, { ...buffers, y: out }, { count: COUNT }),
    ),
    floatCase(geluBackwardF32Kernel.name, { x, dy: y }, geluBackwardF32Reference(x, y), 1e-11, (device, buffers, dx) =>
      geluBackwardF32(device, { ...buffers, dx }, { count: COUNT }),
    ),
    floatCase(softmaxF32Kernel.name, { x }, probabilities, 1e-11, (device, buffers, out) =>
      softmaxF32(device, { ...buffers, y: out }, rows),
    ),
    floatCase(
      softmaxBackwardF32Kernel.name,
      { y: probabilities, dy: y },
      softmaxBackwardF32Reference(probabilities, y, COLUMNS, 0.25),
      1e-11,
      (device, buffers, dx) => softmaxBackwardF32(device, { ...buffers, dx }, rows),
    ),
    biasCase(),
    floatCase(
      layerNormF32Kernel.name,
      { x, gain, shift },
      layerNormF32Reference(x, gain, shift, EPSILON),
      1e-12,
      (device, buffers, out) => layerNormF32(device, { ...buffers, y: out }, norm),
    ),
    floatCase(
      layerNormBackwardF32Kernel.name,
      { x, gain, dy: y },
      layerNormBackwardF32Reference(x, gain, y, EPSILON),
      1e-11,
      (device, buffers, dx) => layerNormBackwardF32(device, { ...buffers, dx }, norm),
    ),
    matmulCase('plain'),
    ...(hasSubgroupsOfFour(device) ? [matmulCase('subgroups')] : []),
    tokensCase(),
    copyCase(x),
    powersCase(x),
    rootCase(),
  ];
}

/** Rows of A are padded to whole groups of four, as the kernel that shares them wants them. */
function matmulCase(kind: MatmulF32Kind): SelfTestCase {
  const rowStride = 4 * Math.ceil(DEPTH / 4);
  const a = noise(ROWS * rowStride, 5);
  const b = noise(COLUMNS * DEPTH, 6);
  const bias = noise(COLUMNS, 7);
  const shape = {
    rows: ROWS,
    columns: COLUMNS,
    depth: DEPTH,
    heads: 1,
    images: 1,
    a: denseMatrix(ROWS, rowStride),
    b: transposed(denseMatrix(COLUMNS, DEPTH)),
    c: denseMatrix(ROWS, COLUMNS),
  };
  const expected = new Float32Array(COUNT);
  matmulF32Reference(a, b, bias, expected, shape);
  const { name } = kind === 'plain' ? matmulF32Kernel : matmulF32SubgroupsKernel;
  return floatCase(name, { a, b, bias }, expected, 1e-12, (device, buffers, c) =>
    matmulF32(device, { ...buffers, c }, shape, kind),
  );
}

function columnSumsCase(source: Float32Array): SelfTestCase {
  const weights = noise(ROWS, 11);
  const shape = { images: 1, rows: ROWS, columns: COLUMNS };
  const { sums: expected } = columnSumsReference(source, weights, shape);
  return floatCase(columnSumsF32Kernel.name, { source, weights }, expected, 1e-11, (device, buffers, sums) =>
    columnSumsF32(device, { ...buffers, sums }, shape),
  );
}

function scaleRowsCase(source: Float32Array): SelfTestCase {
  const factors = noise(ROWS, 12);
  const shape = { rows: ROWS, columns: COLUMNS };
  const expected = scaleRowsReference(source, factors, shape);
  return floatCase(scaleRowsF32Kernel.name, { source, factors }, expected, 1e-14, (device, buffers, destination) =>
    scaleRowsF32(device, { ...buffers, destination }, shape),
  );
}

function tokensCase(): SelfTestCase {
  const shape = { images: 3, rows: 5, prefixRows: 2, features: 13 };
  const x = noise(shape.images * shape.rows * shape.features, 8);
  const prefix = noise(shape.prefixRows * shape.features, 9);
  const position = noise((shape.prefixRows + shape.rows) * shape.features, 10);
  const expected = assembleTokensF32Reference(x, prefix, position, shape.images);
  return floatCase(assembleTokensF32Kernel.name, { x, prefix, position }, expected, 1e-12, (device, buffers, y) =>
    assembleTokensF32(device, { ...buffers, y }, shape),
  );
}

function copyCase(source: Float32Array): SelfTestCase {
  const shape = {
    images: 3,
    rows: 5,
    columns: 7,
    sourceOffset: 3,
    sourceOuter: 100,
    sourceRow: 11,
    targetOffset: 2,
    targetOuter: 60,
    targetRow: 9,
  };
  const expected = new Float32Array(2 + 3 * 60);
  copyRowsF32Reference(source, expected, shape);
  return floatCase(copyRowsF32Kernel.name, { source }, expected, 1e-12, (device, buffers, destination) =>
    copyRowsF32(device, { ...buffers, destination }, shape),
  );
}

/** The kernel adds to sums that are there; those of the test begin at 0. */
function powersCase(source: Float32Array): SelfTestCase {
  const expected = accumulatePowersReference(new Float32Array(COLUMNS), source, 2);
  return floatCase(accumulatePowersKernel.name, { source }, expected, 1e-12, (device, buffers, sums) =>
    accumulatePowers(device, { ...buffers, sums }, { count: COLUMNS, repeats: ROWS, power: 2 }),
  );
}

function rootCase(): SelfTestCase {
  const sums = noise(COLUMNS, 11).map(Math.abs);
  return floatCase(rootMeanKernel.name, { sums }, rootMeanReference(sums, 3, 0.25), 1e-12, (device, buffers, y) =>
    rootMean(device, { ...buffers, y }, { count: COLUMNS, repeats: 3, factor: 0.25 }),
  );
}

function biasCase(): SelfTestCase {
  const shape = { images: 1, windows: 3, heads: 2, tokens: 9, scale: 0.25 };
  const x = noise(3 * 2 * 9 ** 2, 10, 4);
  const table = noise(2 * ROWS, 11);
  const pairs = Int32Array.from(integers(9 ** 2, 12, 0, ROWS - 1));
  const regions = Int32Array.from(integers(3 * 9, 13, 0, 3));
  const expected = attentionBiasF32Reference(x, table, pairs, regions, shape);
  const inputs = { x, table, pairs, regions };
  return floatCase(attentionBiasF32Kernel.name, inputs, expected, 1e-12, (device, buffers, y) =>
    attentionBiasF32(device, { ...buffers, y }, shape),
  );
}
