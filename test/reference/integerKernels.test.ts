import { expect, test } from 'vitest';
import { residualAddI16Reference } from '../../src/reference/residualAddI16.ts';
import { random } from '../support/codes.ts';
import { rescaleOracle } from '../support/fixedPoint.ts';
import { randomInt16 } from '../support/int16.ts';

/** `x` in the range of `bits`-bit integers. */
function saturate(x: bigint, bits: number): number {
  const half = 2n ** BigInt(bits - 1);
  return Number(x < -half ? -half : x >= half ? half - 1n : x);
}

test('residual sums are those of big integers', () => {
  const next = random(1);
  const [a, b] = [randomInt16(4000, next), randomInt16(4000, next)];
  for (const shift of [29, 30, 31, 45]) {
    const found = residualAddI16Reference(a, b, { multiplier: 2 ** 30, shift }, { multiplier: 1518500250, shift: 31 });
    const expected = a.map((value, i) =>
      saturate(rescaleOracle(value, 2 ** 30, shift) + rescaleOracle(b[i] as number, 1518500250, 31), 16),
    );
    expect(found).toEqual(expected);
  }
});
