import type { Network } from '../model/graph.ts';
import { choleskyUpper } from '../quantize/cholesky.ts';
import { foldingSites } from '../quantize/foldingSites.ts';

/** How far the layer may be off with the bias in the norm before it, as a share of its outputs for no deviation from the mean. */
const TOLERANCE = 1e-5;

/** The norm whose outputs, all of them, the linear layer `name` alone reads. */
export function normOf(network: Network, name: string): string | undefined {
  for (const site of foldingSites(network)) {
    if (site.kind !== 'norm' || site.padded) continue;
    if (site.readers.length === 1 && site.readers[0]?.name === name) return site.name;
  }
  return undefined;
}

/**
 * The bias of a norm that takes up the bias b of the linear layer which alone reads it: shifted by the least d with W d = b,
 * `d = W^T (W W^T)^-1 b`, formed in double.
 *
 * @param normBias f32 `[inFeatures]`
 * @param weight f32 `[outFeatures, inFeatures]`, W
 * @param bias f32 `[outFeatures]`, b
 * @returns f32 `[inFeatures]`; undefined when no such d is found, as where W has more rows than columns, or a row of zeros
 */
export function absorbBias(
  normBias: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
): Float32Array<ArrayBuffer> | undefined {
  const [inFeatures, outFeatures] = [normBias.length, bias.length];
  if (outFeatures > inFeatures) return undefined;
  const rows = Array.from({ length: outFeatures }, (_, i) =>
    Float64Array.from(weight.subarray(i * inFeatures, (i + 1) * inFeatures)),
  );
  const multipliers = solve(gram(rows), bias);
  if (!multipliers) return undefined;
  const sums = Float64Array.from(normBias);
  rows.forEach((row, i) => {
    const multiplier = multipliers[i] as number;
    for (let k = 0; k < inFeatures; k++) sums[k] = (sums[k] as number) + multiplier * (row[k] as number);
  });
  const shifted = Float32Array.from(sums);
  const before = Float64Array.from(normBias);
  const after = Float64Array.from(shifted);
  let [error, biases, outputs] = [0, 0, 0];
  rows.forEach((row, i) => {
    const own = bias[i] as number;
    const output = dot(row, before) + own;
    error += (dot(row, after) - output) ** 2;
    biases += own ** 2;
    outputs += output ** 2;
  });
  return error <= TOLERANCE ** 2 * Math.max(biases, outputs) ? shifted : undefined;
}

/** Products of all rows with each other, the upper triangle. */
function gram(rows: readonly Float64Array[]): Float64Array {
  const products = new Float64Array(rows.length ** 2);
  rows.forEach((a, i) => {
    for (let j = i; j < rows.length; j++) products[i * rows.length + j] = dot(a, rows[j] as Float64Array);
  });
  return products;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] as number) * (b[k] as number);
  return sum;
}

/** The solution x of `matrix x = right`, where the matrix is symmetric; undefined when it is not positive definite. */
function solve(matrix: Float64Array, right: Float32Array): Float64Array | undefined {
  const size = right.length;
  try {
    choleskyUpper(matrix, size);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  const x = Float64Array.from(right);
  const at = (row: number, column: number) => matrix[row * size + column] as number;
  for (let k = 0; k < size; k++) {
    const value = (x[k] as number) / at(k, k);
    x[k] = value;
    for (let j = k + 1; j < size; j++) x[j] = (x[j] as number) - at(k, j) * value;
  }
  for (let k = size - 1; k >= 0; k--) {
    let rest = x[k] as number;
    for (let j = k + 1; j < size; j++) rest -= at(k, j) * (x[j] as number);
    x[k] = rest / at(k, k);
  }
  return x;
}
