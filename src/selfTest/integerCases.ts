import { assembleTokensI16, assembleTokensI16Kernel } from '../kernels/assembleTokensI16.ts';
import { dequantize, dequantizeKernel } from '../kernels/dequantize.ts';
import { dyadic, packDyadics } from '../kernels/dyadic.ts';
import { intLayerNorm, intLayerNormKernel } from '../kernels/intLayerNorm.ts';
import { layerNormConstants, type IntLayerNormForm } from '../kernels/layerNormConstants.ts';
import { matmulRequantize, matmulRequantizeKernel } from '../kernels/matmulRequantize.ts';
import { matmulRequantizeSubgroupsKernel } from '../kernels/matmulRequantizeSubgroups.ts';
import { matmulRequantizeWorkgroupKernel } from '../kernels/matmulRequantizeWorkgroup.ts';
import { matmulVariants, type MatmulVariant } from '../kernels/matmulVariant.ts';
import { patchCodes, patchCodesKernel } from '../kernels/patchCodes.ts';
import { denseOutput, outputExtent, type DenseLayout } from '../kernels/requantizedLayout.ts';
import { assembleTokensI16Reference } from '../reference/assembleTokensI16.ts';
import { packDepthMajor, packRowMajor } from '../reference/codes.ts';
import { dequantizeReference } from '../reference/dequantize.ts';
import { packInt16 } from '../reference/fixedPoint.ts';
import { intLayerNormReference } from '../reference/intLayerNorm.ts';
import { matmulRequantizeReference } from '../reference/matmulRequantize.ts';
import { patchCodesReference } from '../reference/patchCodes.ts';
import { exactCase, floatCase, integers, noise, type SelfTestCase } from './case.ts';

const ROWS = 37;
const FEATURES = 67;
const DEPTH = 21;

/** The integer-only kernels of the linear path: sums, tokens, products that rescale themselves, layer norm. */
export function integerCases(device: GPUDevice): SelfTestCase[] {
  return [
    ...productVariants(device).flatMap((variant) => LAYOUTS.map((layout) => productCase(layout, variant))),
    normCase('fixed'),
    normCase('published'),
    tokensCase(),
    patchCase(),
    dequantizeCase(8),
    dequantizeCase(16),
    dequantizeCase(32),
  ];
}

function int16(count: number, seed: number): Int16Array {
  return Int16Array.from(integers(count, seed, -32768, 32767));
}

const LAYOUTS: readonly DenseLayout[] = ['left', 'right', 'right-transposed', 'int16', 'int32'];

/** The last variant of each style that `device` can run: the largest tile, and the most lanes that share rows. */
function productVariants(device: GPUDevice): MatmulVariant[] {
  return [...new Map(matmulVariants(device).map((variant) => [variant.style, variant])).values()];
}

const PRODUCT_KERNELS = {
  plain: matmulRequantizeKernel.name,
  subgroups: matmulRequantizeSubgroupsKernel.name,
  workgroup: matmulRequantizeWorkgroupKernel.name,
};

/** Twin codes with a rescale and a bias for each column; 16-bit results with a residual. */
function productCase(layout: DenseLayout, variant: MatmulVariant): SelfTestCase {
  const matrix = { images: 1, heads: 1, rows: ROWS, columns: FEATURES };
  const output = denseOutput(layout, matrix);
  const wide = layout === 'int16';
  const shape = { ...matrix, depth: DEPTH, aKind: 'twin-gelu', aBits: 8, shift: 7, output, variant } as const;
  const params = { ...shape, ...(wide && { residual: { ...dyadic(0.8, 'term'), offset: 0 } }) };
  const ratios = integers(FEATURES, 3, 1, 1000).map((n) => dyadic(n * (wide ? 1e-5 : 1e-7), wide ? 'int16' : 8));
  const inputs = {
    a: packRowMajor(integers(ROWS * DEPTH, 4, 0, 255), ROWS, DEPTH),
    b: packDepthMajor(integers(FEATURES * DEPTH, 5, -128, 127), FEATURES, DEPTH),
    bias: Int32Array.from(integers(FEATURES, 6, -1_000_000, 1_000_000)),
    rescale: packDyadics(ratios),
    residual: packInt16(int16(ROWS * FEATURES, 7), FEATURES),
  };
  const y = new Uint32Array(outputExtent(output, matrix));
  const optional = <T>({ rescale, residual }: { readonly rescale: T; readonly residual: T }) => ({
    rescale: layout === 'int32' ? null : rescale,
    residual: wide ? residual : null,
  });
  matmulRequantizeReference({ ...inputs, ...optional(inputs), y }, params);
  return exactCase(
    PRODUCT_KERNELS[variant.style],
    inputs,
    y,
    (device, buffers, out) => matmulRequantize(device, { ...buffers, ...optional(buffers), y: out }, params),
    layout,
  );
}

function normCase(form: IntLayerNormForm): SelfTestCase {
  const gamma = noise(FEATURES, 8).map((v) => v + 0.5);
  const beta = noise(FEATURES, 9);
  const { gain, bias, epsilon } = layerNormConstants(form, { gamma, beta, epsilon: 1e-6, xScale: 0.018, yScale: 0.03 });
  const x = int16(ROWS * FEATURES, 10).map((v, i) => (i % 50 === 0 ? v : v >> 6)); // outliers among small values
  const params = { features: FEATURES, form, epsilon };
  const expected = packRowMajor(intLayerNormReference(x, { gain, bias }, params), ROWS, FEATURES);
  return exactCase(
    intLayerNormKernel.name,
    { x: packInt16(x, FEATURES), gain, bias },
    expected,
    (device, buffers, y) => intLayerNorm(device, { ...buffers, y }, { ...params, rows: ROWS }),
    form,
  );
}

function tokensCase(): SelfTestCase {
  const shape = { images: 3, rows: 5, prefixRows: 2, features: FEATURES };
  const x = int16(shape.images * shape.rows * FEATURES, 11);
  const tokens = int16((shape.prefixRows + shape.rows) * FEATURES, 12);
  const expected = packInt16(assembleTokensI16Reference(x, tokens, shape.images), FEATURES);
  const inputs = { x: packInt16(x, FEATURES), tokens: packInt16(tokens, FEATURES) };
  return exactCase(assembleTokensI16Kernel.name, inputs, expected, (device, buffers, y) =>
    assembleTokensI16(device, { ...buffers, y }, shape),
  );
}

function patchCase(): SelfTestCase {
  const shape = { images: 4, height: 9, width: 15, patchSize: 3 };
  const pixels = Uint8Array.from(integers(4 * 9 * 15 * 3, 13, 0, 255)); // whole words
  const depth = 3 * shape.patchSize ** 2;
  const expected = packRowMajor(patchCodesReference(pixels, shape), pixels.length / depth, depth);
  return exactCase(
    patchCodesKernel.name,
    { pixels: new Uint32Array(pixels.buffer) },
    expected,
    (device, buffers, codes) => patchCodes(device, { ...buffers, codes }, shape),
  );
}

/** Two heads of five rows in turn. One product's rounding, and for 32 bits the integer's: (2^-24)^2 each. */
function dequantizeCase(bits: 8 | 16 | 32): SelfTestCase {
  const values = Int32Array.from(integers(ROWS * FEATURES, 14, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1));
  const scales = Float32Array.of(0.37, 0.0021);
  const shape = { rowsPerHead: 5, columns: FEATURES };
  const source = { 8: packRowMajor(values, ROWS, FEATURES), 16: packInt16(values, FEATURES), 32: values }[bits];
  return floatCase(
    dequantizeKernel.name,
    { source, scales },
    dequantizeReference(values, scales, shape),
    1e-13,
    (device, buffers, y) => dequantize(device, { ...buffers, y }, { ...shape, bits, rows: ROWS, heads: 2 }),
    `${bits} bits`,
  );
}
