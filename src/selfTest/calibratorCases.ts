import { fakeQuantize, fakeQuantizeKernel } from '../kernels/fakeQuantize.ts';
import { histogram, histogramKernel } from '../kernels/histogram.ts';
import { scoreOutputs, scoreOutputsKernel } from '../kernels/scoreOutputs.ts';
import { fakeQuantizeReference } from '../reference/fakeQuantize.ts';
import { histogramReference } from '../reference/histogram.ts';
import { scoreOutputsReference } from '../reference/scoreOutputs.ts';
import { exactCase, floatCase, noise, type SelfTestCase } from './case.ts';

const ROWS = 37;
const COLUMNS = 21;
const VIEW = { offset: 2, imageStride: 0, headStride: 0, rowStride: COLUMNS + 3 };
const ELEMENTS = 2 + ROWS * (COLUMNS + 3);

/** The kernels that count values, and those of quantizers without a common integer product. */
export function calibratorCases(): SelfTestCase[] {
  return [
    histogramCase(),
    fakeCase('uniform', [0.25, 4, 3, 0], 8),
    fakeCase('published-softmax', [0.125 / 31, 248, 0.125, 1 / 31], 1),
    fakeCase('signed-ranges', [0.25, 4, 0.0625, 16], 8),
    fakeCase('per-token', [31.5, 1 / 31.5, 0, 0], 8),
    scoreCase('hessian'),
    scoreCase('pearson'),
  ];
}

function histogramCase(): SelfTestCase {
  const source = noise(ELEMENTS, 21, 9);
  const inverseWidths = Float32Array.of(3);
  const params = { images: 1, heads: 1, rows: ROWS, columns: COLUMNS, bins: 20, view: VIEW };
  const expected = histogramReference(source, inverseWidths, params);
  return exactCase(histogramKernel.name, { source, inverseWidths }, expected, (device, buffers, counts) =>
    histogram(device, { ...buffers, counts }, params),
  );
}

function fakeCase(
  kind: 'uniform' | 'published-softmax' | 'signed-ranges' | 'per-token',
  entry: readonly number[],
  scale: number,
): SelfTestCase {
  const source = noise(ELEMENTS, 22, scale).map((x, i) =>
    kind === 'published-softmax' ? Math.abs(x) : i % 8 ? x : x / 64,
  );
  const table = Float32Array.from(entry);
  const params = {
    ...{ kind, low: -32, high: 31, candidates: 1, images: 1, heads: 1, rows: ROWS, depth: COLUMNS },
    ...{ ...VIEW, depthStride: 1, rowGroups: 1, depthGroups: 1, groupPerHead: 0 as const },
  };
  const statistics = Float32Array.from({ length: 4 * ROWS }, (_, i) => {
    const first = VIEW.offset + Math.floor(i / 4) * VIEW.rowStride;
    return i % 4 ? 0 : source.subarray(first, first + COLUMNS).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  });
  const expected = fakeQuantizeReference(source, table, params);
  // a value at the edge of a cell may take the next code where a quotient is rounded otherwise
  const bound = kind === 'per-token' ? 1e-6 : 1e-13;
  return floatCase(
    fakeQuantizeKernel.name,
    { source, table, statistics },
    expected,
    bound,
    (device, buffers, values) => fakeQuantize(device, { ...buffers, values }, params),
    kind,
  );
}

function scoreCase(metric: 'hessian' | 'pearson'): SelfTestCase {
  const y = noise(ELEMENTS, 23, 4);
  const gradient = noise(ELEMENTS, 24);
  const outputs = noise(ROWS * COLUMNS, 25, 4);
  const params = { metric, candidates: 1, images: 1, heads: 1, rows: ROWS, columns: COLUMNS, parts: 3, y: VIEW };
  const expected = scoreOutputsReference(outputs, y, gradient, params);
  return floatCase(
    scoreOutputsKernel.name,
    { outputs, y, gradient },
    expected,
    1e-10,
    (device, buffers, partials) => scoreOutputs(device, { ...buffers, partials }, params),
    metric,
  );
}
