import type { CodeKind } from '../kernels/codes.ts';
import { matmulCodes, matmulCodesKernel } from '../kernels/matmulCodes.ts';
import { reduceColumns, reduceColumnsKernel } from '../kernels/reduceColumns.ts';
import { scoreCosine, scoreCosineKernel, type RowMetric } from '../kernels/scoreCosine.ts';
import { scoreCosineSubgroupsKernel } from '../kernels/scoreCosineSubgroups.ts';
import { scoreElementwise, scoreElementwiseKernel, type ElementwiseMetric } from '../kernels/scoreElementwise.ts';
import { scoreElementwiseSubgroupsKernel } from '../kernels/scoreElementwiseSubgroups.ts';
import { hasSubgroupsOfFour } from '../kernels/subgroups.ts';
import { packDepthMajor, packRowMajor } from '../reference/codes.ts';
import { matmulCodesReference } from '../reference/matmulCodes.ts';
import { reduceColumnsReference } from '../reference/reduceColumns.ts';
import { scoreCosineReference } from '../reference/scoreCosine.ts';
import { scoreElementwiseReference } from '../reference/scoreElementwise.ts';
import { exactCase, floatCase, integers, noise, type SelfTestCase } from './case.ts';

const ROWS = 37;
const COLUMNS = 66;
const DEPTH = 21;
const CANDIDATES = 2;
const OUTPUT = { offset: 0, imageStride: 0, headStride: 0, rowStride: COLUMNS };

/** The kernels that multiply packed codes and score candidates, with the variants that `device` can run. */
export function productCases(device: GPUDevice): SelfTestCase[] {
  const variants = hasSubgroupsOfFour(device) ? (['plain', 'subgroups'] as const) : (['plain'] as const);
  return [
    productCase('uniform', 0),
    productCase('twin-softmax', 9),
    productCase('twin-gelu', 7),
    ...variants.flatMap((variant) => [
      elementwiseCase('hessian', variant),
      elementwiseCase('mse', variant),
      elementwiseCase('l1', variant),
      cosineCase('cosine', variant),
      cosineCase('pearson', variant),
    ]),
    reduceCase(),
  ];
}

/** Packed operands, the largest codes among them. */
function operands(kind: CodeKind): { a: Uint32Array; b: Uint32Array } {
  const [low, high] = kind === 'uniform' ? [-128, 127] : [0, 255];
  const a = [...Array<number>(DEPTH).fill(high), ...integers((ROWS - 1) * DEPTH, 2, low, high)];
  const b = [...Array<number>(DEPTH).fill(-128), ...integers((COLUMNS - 1) * DEPTH, 3, -128, 127)];
  return { a: packRowMajor(a, ROWS, DEPTH), b: packDepthMajor(b, COLUMNS, DEPTH) };
}

/** The bare accumulator of a product. */
function productCase(kind: CodeKind, shift: number): SelfTestCase {
  const { a, b } = operands(kind);
  const product = { kind, bits: 8, shift, batch: 1, rows: ROWS, depth: DEPTH, columns: COLUMNS, bBatchStride: 0 };
  const expected = new Uint32Array(Int32Array.from(matmulCodesReference(a, b, product)).buffer);
  const params = {
    images: 1,
    heads: 1,
    rows: ROWS,
    depth: DEPTH,
    columns: COLUMNS,
    aKind: kind,
    aBits: 8,
    shift,
    bBatchStride: 0,
    scaleHeadStride: 0,
    scaleColumnStride: 0,
    output: OUTPUT,
    outputType: 'i32',
  } as const;
  return exactCase(
    matmulCodesKernel.name,
    { a, b, scales: Float32Array.of(1) },
    expected,
    (device, buffers, y) => matmulCodes(device, { ...buffers, bias: null, y }, params),
    kind,
  );
}

/** Two candidates of twin codes that differ in scale and shift, against a float output some per cent away. */
function candidates() {
  const { a, b } = operands('twin-softmax');
  const scales = noise(CANDIDATES * COLUMNS, 4, 1e-5).map((v) => v + 5e-5);
  const bias = noise(COLUMNS, 5);
  const shifts = Uint32Array.of(3, 4);
  const product = { kind: 'twin-softmax', bits: 8, shift: 3, batch: 1 } as const;
  const sizes = { rows: ROWS, depth: DEPTH, columns: COLUMNS, bBatchStride: 0 };
  const sums = matmulCodesReference(a, b, { ...product, ...sizes });
  const error = noise(ROWS * COLUMNS, 6, 0.1);
  const y = Float32Array.from(sums, (sum, i) => sum * 5e-5 + (bias[i % COLUMNS] as number) + (error[i] as number));
  const shape = {
    ...sizes,
    candidates: CANDIDATES,
    images: 1,
    heads: 1,
    aKind: 'twin-softmax',
    aBits: 8,
    aCandidateStride: 0,
    bCandidateStride: 0,
    scaleCandidateStride: COLUMNS,
    scaleHeadStride: 0,
    scaleColumnStride: 1,
    y: OUTPUT,
  } as const;
  return { data: { a, b, scales, bias, shifts, y }, shape };
}

function elementwiseCase(metric: ElementwiseMetric, variant: 'plain' | 'subgroups'): SelfTestCase {
  const { data, shape } = candidates();
  const gradient = noise(ROWS * COLUMNS, 7);
  const params = { ...shape, metric, variant, gradient: OUTPUT };
  const { name } = variant === 'plain' ? scoreElementwiseKernel : scoreElementwiseSubgroupsKernel;
  const expected = scoreElementwiseReference({ ...data, gradient }, params);
  return floatCase(
    name,
    { ...data, gradient },
    expected,
    1e-10,
    (device, buffers, partials) => scoreElementwise(device, { ...buffers, partials }, params),
    metric,
  );
}

function cosineCase(metric: RowMetric, variant: 'plain' | 'subgroups'): SelfTestCase {
  const { data, shape } = candidates();
  const params = { ...shape, parts: 3, metric, variant };
  const { name } = variant === 'plain' ? scoreCosineKernel : scoreCosineSubgroupsKernel;
  return floatCase(
    name,
    data,
    scoreCosineReference(data, params),
    1e-11,
    (device, buffers, cosines) => scoreCosine(device, { ...buffers, cosines }, params),
    metric,
  );
}

function reduceCase(): SelfTestCase {
  const source = noise(ROWS * COLUMNS, 8).map((x) => x * x); // partial scores are positive
  const expected = reduceColumnsReference(source, COLUMNS, 3);
  return floatCase(reduceColumnsKernel.name, { source }, expected, 1e-12, (device, buffers, sums) =>
    reduceColumns(device, { ...buffers, sums }, { rows: ROWS, columns: COLUMNS, parts: 3 }),
  );
}
