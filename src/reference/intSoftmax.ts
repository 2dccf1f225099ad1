import { packRowMajor } from './codes.ts';
import { dyadicRescale16 } from './fixedPoint.ts';
import { fixedExponential, PROBABILITY_BITS, share, shiftExponential, twinSoftmaxCode } from './intExp.ts';
import { nearestCode, packPlanes, type NonlinearCodes } from './levels.ts';

/** The integers of a method; see `softmaxConstants` of the kernel. */
export type IntSoftmaxConstants =
  | { readonly method: 'shift'; readonly unit: number }
  | { readonly method: 'shift-fixed'; readonly unit: number; readonly fraction: number; readonly octaves: number }
  | {
      readonly method: 'poly';
      readonly unit: number;
      readonly fraction: number;
      readonly linear: number;
      readonly constant: number;
      readonly multiplier: number;
      readonly multiplierShift: number;
    }
  | {
      readonly method: 'lut';
      readonly multiplier: number;
      readonly multiplierShift: number;
      readonly table: Uint32Array;
    };

/** Accumulator of a logit that is masked. */
const MASKED = -(2 ** 31);

/** Softmax of one row of integer logits in units of 2^-24; a logit of -Infinity is masked, its probability 0. */
export function intSoftmaxRow(logits: ArrayLike<number>, constants: IntSoftmaxConstants): number[] {
  const row = Array.from(logits);
  const seen = row.filter((x) => x !== -Infinity);
  if (seen.length === row.length) return softmaxOf(row, constants);
  const probabilities = softmaxOf(seen, constants).values();
  return row.map((x) => (x === -Infinity ? 0 : (probabilities.next().value as number)));
}

function softmaxOf(row: readonly number[], constants: IntSoftmaxConstants): number[] {
  const largest = Math.max(...row);
  const distances = row.map((x) => largest - x);
  switch (constants.method) {
    case 'shift': {
      const parts = distances.map((distance) => shiftExponential(-distance, constants.unit, 15));
      const sum = parts.reduce((total, part) => Math.min(total + part, 2 ** 31 - 1), 0);
      const factor = Math.floor((2 ** 31 - 1) / sum);
      return parts.map((part) => Math.floor((part * factor) / 2 ** 16) * 2 ** (PROBABILITY_BITS - 15));
    }
    case 'shift-fixed': {
      const { unit, fraction, octaves } = constants;
      const parts = distances.map((distance) => fixedExponential(distance * 2 ** fraction, unit, octaves));
      return shares(parts);
    }
    case 'poly': {
      const parts = distances.map((distance) => polynomialExponential(distance, constants));
      const factor = Math.floor(2 ** 32 / total(parts));
      return parts.map((part) => Math.floor((part * factor) / 2 ** (32 - PROBABILITY_BITS)));
    }
    case 'lut': {
      const { multiplier, multiplierShift, table } = constants;
      const parts = distances.map((distance) => {
        const steps = dyadicRescale16(distance, multiplier, multiplierShift); // of 1/256 octave
        return Math.floor((table[steps % 256] as number) / 2 ** Math.floor(steps / 256));
      });
      return shares(parts);
    }
  }
}

/** I-BERT's i-exp in 16 bits: z = r^2 + b r + c on (-ln 2, 0], shifted by whole octaves, 32767 for e^0. */
function polynomialExponential(
  distance: number,
  { unit, fraction, linear, constant, multiplier, multiplierShift }: IntSoftmaxConstants & { method: 'poly' },
): number {
  const x = Math.min(distance * 2 ** fraction, 30 * unit);
  const quotient = Math.floor(x / unit);
  const rest = -(x - quotient * unit);
  const z = rest * (rest + linear) + constant;
  return dyadicRescale16(Math.max(z, 0), multiplier, multiplierShift + quotient);
}

function total(parts: readonly number[]): number {
  return parts.reduce((sum, part) => sum + part, 0);
}

function shares(parts: readonly number[]): number[] {
  const sum = total(parts);
  return parts.map((part) => share(part, sum));
}

export interface IntSoftmaxReferenceParams {
  readonly rows: number;
  readonly columns: number;
  readonly rowsPerHead: number;
  readonly heads: number;
  readonly logitBits: number;
  readonly bits: number;
  readonly shift: number;
  /** Where R2 begins, in units of 2^-24. */
  readonly threshold: number;
  /** Default twin codes; else the rescales of the heads are followed by those of their probabilities. */
  readonly codes?: NonlinearCodes;
  readonly constants: IntSoftmaxConstants;
}

/**
 * Logits of a row: the accumulators rescaled by the multiplier and shift of the row's head, saturated to `logitBits`; -Infinity for
 * accumulators of -2^31, unless all are.
 */
export function rescaledRow(
  accumulators: Int32Array,
  rescales: Uint32Array,
  row: number,
  { columns, rowsPerHead, heads, logitBits }: IntSoftmaxReferenceParams,
): number[] {
  const head = Math.floor(row / rowsPerHead) % heads;
  const [multiplier, shift] = [rescales[2 * head] as number, rescales[2 * head + 1] as number];
  const q = 2 ** (logitBits - 1);
  const values = accumulators.subarray(row * columns, (row + 1) * columns);
  const masks = values.some((value) => value !== MASKED);
  return Array.from(values, (value) => {
    if (masks && value === MASKED) return -Infinity;
    return Math.max(-q, Math.min(dyadicRescale16(value, multiplier, shift), q - 1));
  });
}

/** Reference of `int_softmax.wgsl`: packed codes `[rows][planes][ceil(columns / 4)]`. */
export function intSoftmaxReference(
  accumulators: Int32Array,
  rescales: Uint32Array,
  params: IntSoftmaxReferenceParams,
): Uint32Array {
  const { rows, columns, rowsPerHead, heads, bits, shift, threshold, constants } = params;
  const { codes = { kind: 'twin' } } = params;
  const probabilities = Array.from({ length: rows }, (_, row) =>
    intSoftmaxRow(rescaledRow(accumulators, rescales, row, params), constants),
  );
  if (codes.kind !== 'twin') {
    const values = probabilities.flatMap((row, i) => {
      const at = 2 * (heads + (Math.floor(i / rowsPerHead) % heads));
      const dyadic = { multiplier: rescales[at] as number, shift: rescales[at + 1] as number };
      return row.map((p) => nearestCode(p, dyadic, codes, bits));
    });
    return packPlanes(values, columns, codes, 'softmax');
  }
  const twins = probabilities.flatMap((row) => row.map((p) => twinSoftmaxCode(p, bits, shift, threshold)));
  return packRowMajor(twins, rows, columns);
}
