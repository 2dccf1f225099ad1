import { columnRange, columnRangeKernel } from '../kernels/columnRange.ts';
import { gatherRows, gatherRowsKernel } from '../kernels/gatherRows.ts';
import { levelEntries, quantizeLevels, quantizeLevelsKernel, type LevelOperand } from '../kernels/quantizeLevels.ts';
import { quantizeTwinGelu, quantizeTwinGeluKernel, twinGeluTable } from '../kernels/quantizeTwinGelu.ts';
import {
  quantizeTwinSoftmax,
  quantizeTwinSoftmaxKernel,
  twinSoftmaxTable,
  type TwinBoundary,
} from '../kernels/quantizeTwinSoftmax.ts';
import { quantizeUniform, quantizeUniformKernel } from '../kernels/quantizeUniform.ts';
import { rangeStatistics, rangeStatisticsKernel } from '../kernels/rangeStatistics.ts';
import { rowStatistics, rowStatisticsKernel } from '../kernels/rowStatistics.ts';
import { packRowMajor } from '../reference/codes.ts';
import { columnRangeReference } from '../reference/columnRange.ts';
import { gatherRowsReference } from '../reference/gatherRows.ts';
import { quantizeLevelsReference } from '../reference/quantizeLevels.ts';
import { quantizeTwinGeluReference } from '../reference/quantizeTwinGelu.ts';
import { quantizeTwinSoftmaxReference } from '../reference/quantizeTwinSoftmax.ts';
import { quantizeUniformReference } from '../reference/quantizeUniform.ts';
import { rangeStatisticsReference } from '../reference/rangeStatistics.ts';
import { rowStatisticsReference } from '../reference/rowStatistics.ts';
import { exactCase, floatCase, noise, type SelfTestCase } from './case.ts';

const ROWS = 37;
const DEPTH = 21;
const BITS = 6;
const TWIN = { candidates: 1, rows: ROWS, depth: DEPTH, bits: BITS };

/** The kernels that measure ranges, gather rows and turn values into packed codes. */
export function quantizeCases(): SelfTestCase[] {
  return [
    uniformCase('row-major'),
    uniformCase('depth-major'),
    softmaxCase('nearest'),
    softmaxCase('published'),
    geluCase(),
    levelsCase('softmax'),
    levelsCase('gelu'),
    rangeCase(),
    rowCase(),
    columnCase(),
    gatherCase(),
  ];
}

/** Values of which every eighth is a rounding tie, with a scale per row. */
function uniformCase(layout: 'row-major' | 'depth-major'): SelfTestCase {
  const source = noise(ROWS * DEPTH, 1, 40).map((x, i) => (i % 8 === 0 ? Math.floor(x) + 0.5 : x));
  const inverseScales = Float32Array.from({ length: ROWS }, (_, row) => 2 ** -(row % 3));
  const shape = {
    bits: BITS,
    layout,
    candidates: 1,
    images: 1,
    heads: 1,
    rows: ROWS,
    depth: DEPTH,
    offset: 0,
    imageStride: 0,
    headStride: 0,
    rowStride: DEPTH,
    depthStride: 1,
    groupsPerCandidate: ROWS,
    groupPerHead: 0,
    rowsPerGroup: 1,
  } as const;
  const expected = quantizeUniformReference(source, inverseScales, shape);
  return exactCase(
    quantizeUniformKernel.name,
    { source, inverseScales },
    expected,
    (device, buffers, codes) => quantizeUniform(device, { ...buffers, codes }, shape),
    layout,
  );
}

function softmaxCase(boundary: TwinBoundary): SelfTestCase {
  const shift = 3;
  // probabilities crowd near zero; every eighth is a multiple of half a fine step: a rounding tie
  const source = noise(ROWS * DEPTH, 2).map((x, i) => (i % 8 === 0 ? ((i / 8) % 64) / 512 : x ** 6));
  const table = Float32Array.from(twinSoftmaxTable(shift, BITS, boundary));
  const expected = packRowMajor(quantizeTwinSoftmaxReference(source, { bits: BITS, shift, boundary }), ROWS, DEPTH);
  return exactCase(
    quantizeTwinSoftmaxKernel.name,
    { source, table },
    expected,
    (device, buffers, codes) => quantizeTwinSoftmax(device, { ...buffers, codes }, TWIN),
    boundary,
  );
}

function geluCase(): SelfTestCase {
  const [scaleR1, scaleR2] = [2 ** -8, 2 ** -5];
  const source = noise(ROWS * DEPTH, 3).map((x, i) => (i % 8 === 0 ? Math.round(x * 100) / 64 : x < 0 ? 0.17 * x : x));
  const table = Float32Array.from(twinGeluTable(scaleR1, scaleR2));
  const inverses = { inverseR1: 1 / scaleR1, inverseR2: 1 / scaleR2 };
  const expected = packRowMajor(quantizeTwinGeluReference(source, { bits: BITS, ...inverses }), ROWS, DEPTH);
  return exactCase(quantizeTwinGeluKernel.name, { source, table }, expected, (device, buffers, codes) =>
    quantizeTwinGelu(device, { ...buffers, codes }, TWIN),
  );
}

/** Levels of ever larger gaps; every eighth value lies on a midpoint. */
function levelsCase(operand: LevelOperand): SelfTestCase {
  const below = operand === 'gelu' ? [-100, -20, -1] : [];
  const levels = [...below, ...Array.from({ length: 60 }, (_, i) => i + Math.floor(i ** 3 / 16))];
  const table = { operand, bits: BITS, step: 2 ** -12, levels };
  const { thresholds, planes } = levelEntries(table);
  const source = noise(ROWS * DEPTH, 6, 0.5).map((x, i) =>
    i % 8 === 0 ? (thresholds[(i / 8) % 50] as number) : x ** 3,
  );
  const inputs = { source, thresholds: Float32Array.from(thresholds), planes: Uint32Array.from(planes) };
  const expected = quantizeLevelsReference(source, DEPTH, table);
  return exactCase(
    quantizeLevelsKernel.name,
    inputs,
    expected,
    (device, buffers, codes) => quantizeLevels(device, { ...buffers, codes }, TWIN),
    operand,
  );
}

function rangeCase(): SelfTestCase {
  const source = noise(2 + ROWS * (DEPTH + 3), 4, 9);
  const view = { offset: 2, imageStride: 0, headStride: 0, rowStride: DEPTH + 3 };
  const params = { images: 1, heads: 1, rows: ROWS, columns: DEPTH, view };
  const expected = rangeStatisticsReference(source, params);
  return floatCase(rangeStatisticsKernel.name, { source }, expected, 1e-12, (device, buffers, statistics) =>
    rangeStatistics(device, { ...buffers, statistics }, params),
  );
}

function rowCase(): SelfTestCase {
  const source = noise(2 + 2 * ROWS * (DEPTH + 3), 4, 9);
  const view = { offset: 2, imageStride: 0, headStride: ROWS * (DEPTH + 3), rowStride: DEPTH + 3 };
  const params = { images: 1, heads: 2, rows: ROWS, columns: DEPTH, view };
  const expected = rowStatisticsReference(source, params);
  return floatCase(rowStatisticsKernel.name, { source }, expected, 1e-12, (device, buffers, statistics) =>
    rowStatistics(device, { ...buffers, statistics }, params),
  );
}

function columnCase(): SelfTestCase {
  const source = noise(2 * ROWS * DEPTH, 6, 9);
  const params = { groups: 2, rows: ROWS, columns: DEPTH };
  const expected = new Uint32Array(columnRangeReference(source, params).buffer);
  return exactCase(columnRangeKernel.name, { source }, expected, (device, buffers, ranges) =>
    columnRange(device, { ...buffers, ranges }, params),
  );
}

function gatherCase(): SelfTestCase {
  const source = new Uint32Array(noise(2 + ROWS * (DEPTH + 3), 5).buffer);
  const view = { offset: 2, imageStride: 0, headStride: 0, rowStride: DEPTH + 3 };
  const indices = Uint32Array.from({ length: 5 }, (_, i) => (11 * i) % ROWS);
  const params = { images: 1, heads: 1, rows: 5, columns: DEPTH, view, targetOffset: 0 };
  const expected = gatherRowsReference(source, indices, params);
  return exactCase(gatherRowsKernel.name, { source, indices }, expected, (device, buffers, destination) =>
    gatherRows(device, { ...buffers, destination }, params),
  );
}
