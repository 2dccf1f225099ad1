import type { HeadMoments } from './channelRanges.ts';

/** Added to the diagonal of second moments, as a share of its mean: channels that never vary do not make them singular. */
const RIDGE = 1e-6;
/** Turns over all pairs after which rotations of Jacobi's method are done; 64 channels need about 8. */
const MOST_SWEEPS = 30;

/** Square matrices in row order: queries become `q * ofQueries`, keys `k * ofKeys`, and every product of them stays. */
export interface HeadRotation {
  readonly ofQueries: Float64Array;
  readonly ofKeys: Float64Array;
}

/**
 * The change of basis of one head in which queries and keys have the same second moments, spread evenly over the channels. With
 * Cq = L L^T and L^T Ck L = V S^2 V^T, `L^-T V S^1/2` for queries and `L V S^-1/2` for keys give both the moments S (a diagonal); an
 * orthogonal matrix of even entries behind them evens those out. The second is the inverse transpose of the first.
 *
 * @param queries moments about 0
 * @param keys moments about their mean
 */
export function headRotation(queries: HeadMoments, keys: HeadMoments): HeadRotation {
  const size = queries.channels.length;
  const lower = cholesky(ridged(queries.products, size), size);
  const upper = transposed(lower, size);
  const { values, vectors } = eigen(multiply(multiply(upper, ridged(centered(keys), size), size), lower, size), size);
  const scales = values.map((value) => Math.max(value, RIDGE ** 2 * (values[0] as number)) ** 0.25);
  const ofQueries = vectors.map((value, i) => value * (scales[i % size] as number));
  const ofKeys = vectors.map((value, i) => value / (scales[i % size] as number));
  const even = evenMatrix(size);
  return {
    ofQueries: multiply(solveUpper(upper, ofQueries, size), even, size),
    ofKeys: multiply(multiply(lower, ofKeys, size), even, size),
  };
}

function centered({ mean, products }: HeadMoments): Float64Array {
  const size = mean.length;
  return products.map((value, i) => value - (mean[Math.floor(i / size)] as number) * (mean[i % size] as number));
}

function ridged(matrix: Float64Array, size: number): Float64Array {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += matrix[i * size + i] as number;
  const ridge = trace > 0 ? (RIDGE * trace) / size : 1;
  return matrix.map((value, i) => (i % (size + 1) === 0 ? value + ridge : value));
}

function multiply(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const product = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let k = 0; k < size; k++) {
      const factor = a[row * size + k] as number;
      for (let column = 0; column < size; column++) {
        const at = row * size + column;
        product[at] = (product[at] as number) + factor * (b[k * size + column] as number);
      }
    }
  }
  return product;
}

function transposed(matrix: Float64Array, size: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % size) * size + Math.floor(i / size)] as number);
}

/** Lower triangular L with L L^T = `matrix`, which is positive definite. */
function cholesky(matrix: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(size * size);
  const at = (row: number, column: number) => lower[row * size + column] as number;
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let rest = matrix[row * size + column] as number;
      for (let k = 0; k < column; k++) rest -= at(row, k) * at(column, k);
      lower[row * size + column] = row === column ? Math.sqrt(rest) : rest / at(column, column);
    }
  }
  return lower;
}

/** X with `upper` X = `right`. */
function solveUpper(upper: Float64Array, right: Float64Array, size: number): Float64Array {
  const solution = right.slice();
  for (let row = size - 1; row >= 0; row--) {
    for (let column = 0; column < size; column++) {
      let rest = solution[row * size + column] as number;
      for (let k = row + 1; k < size; k++) {
        rest -= (upper[row * size + k] as number) * (solution[k * size + column] as number);
      }
      solution[row * size + column] = rest / (upper[row * size + row] as number);
    }
  }
  return solution;
}

/** Eigenvalues of a symmetric matrix, the largest first, and eigenvectors as columns whose largest entry is positive (Jacobi). */
function eigen(matrix: Float64Array, size: number): { values: Float64Array; vectors: Float64Array } {
  const a = matrix.slice();
  const v = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  const total = a.reduce((sum, value) => sum + value * value, 0);
  const turn = (m: Float64Array, { first, second, stride }: Lines, c: number, s: number) => {
    for (let i = 0; i < size; i++) {
      const [at, other] = [first + i * stride, second + i * stride];
      const [x, y] = [m[at] as number, m[other] as number];
      m[at] = c * x - s * y;
      m[other] = s * x + c * y;
    }
  };
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) {
        const apq = a[p * size + q] as number;
        if (apq === 0) continue;
        off += apq * apq;
        const theta = ((a[q * size + q] as number) - (a[p * size + p] as number)) / (2 * apq);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        turn(a, { first: p, second: q, stride: size }, c, t * c);
        turn(a, { first: p * size, second: q * size, stride: 1 }, c, t * c);
        turn(v, { first: p, second: q, stride: size }, c, t * c);
      }
    }
    if (off <= 1e-28 * total) break;
  }
  const order = Array.from({ length: size }, (_, i) => i).sort(
    (i, j) => (a[j * size + j] as number) - (a[i * size + i] as number),
  );
  const vectors = new Float64Array(size * size);
  order.forEach((from, to) => {
    let largest = 0;
    for (let row = 0; row < size; row++) {
      const value = v[row * size + from] as number;
      if (Math.abs(value) > Math.abs(largest) * (1 + 1e-9)) largest = value;
    }
    for (let row = 0; row < size; row++) {
      vectors[row * size + to] = Math.sign(largest) * (v[row * size + from] as number);
    }
  });
  return { values: Float64Array.from(order, (i) => a[i * size + i] as number), vectors };
}

/** Two rows or two columns of a matrix. */
interface Lines {
  readonly first: number;
  readonly second: number;
  readonly stride: number;
}

/** An orthogonal matrix without large entries: Hadamard's where the size is a power of two, Hartley's elsewhere. */
function evenMatrix(size: number): Float64Array {
  const isPower = (size & (size - 1)) === 0;
  return Float64Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    const angle = (2 * Math.PI * ((row * column) % size)) / size;
    return (isPower ? parity(row & column) : Math.cos(angle) + Math.sin(angle)) / Math.sqrt(size);
  });
}

/** 1 for an even number of ones, -1 for an odd one. */
function parity(bits: number): number {
  let sign = 1;
  for (let rest = bits; rest > 0; rest &= rest - 1) sign = -sign;
  return sign;
}
