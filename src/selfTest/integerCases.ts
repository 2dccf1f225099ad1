import { dyadic } from '../kernels/dyadic.ts';
import { residualAddI16, residualAddI16Kernel } from '../kernels/residualAddI16.ts';
import { packInt16 } from '../reference/fixedPoint.ts';
import { residualAddI16Reference } from '../reference/residualAddI16.ts';
import { exactCase, integers, type SelfTestCase } from './case.ts';

const ROWS = 37;
const FEATURES = 67;

/** The integer-only kernels of the linear path: sums, tokens, products that rescale themselves, layer norm. */
export function integerCases(): SelfTestCase[] {
  return [residualCase()];
}

function int16(count: number, seed: number): Int16Array {
  return Int16Array.from(integers(count, seed, -32768, 32767));
}

function residualCase(): SelfTestCase {
  const count = ROWS * FEATURES + 1; // an even count: two a word
  const [a, b] = [int16(count, 1), int16(count, 2)];
  const [rescaleA, rescaleB] = [dyadic(0.5, 16), dyadic(0.7, 16)];
  const expected = packInt16(residualAddI16Reference(a, b, rescaleA, rescaleB), count);
  const inputs = { a: packInt16(a, count), b: packInt16(b, count) };
  return exactCase(residualAddI16Kernel.name, inputs, expected, (device, buffers, y) =>
    residualAddI16(device, { ...buffers, y }, { words: count / 2, rescaleA, rescaleB }),
  );
}
