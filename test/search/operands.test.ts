import { describe, expect, test } from 'vitest';
import {
  hasZeroPoint,
  leftFamilies,
  rightOperand,
  softmaxShifts,
  type LayerPlan,
  type LayerRanges,
} from '../../src/calibrate/operands.ts';
import { layerPlan } from '../../src/calibrate/layerPlan.ts';
import type { ShapedQuantizer } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import { searchedLayers } from '../../src/model/graph.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { initialScale, maxTwinShift } from '../../src/quantize/quantizer.ts';
import { TINY_CONFIG } from '../support/tinyModel.ts';

const planOf = (operand: LayerPlan['operand'], bits: number, otherBits = bits): LayerPlan => {
  const kind = operand === 'post-softmax' ? 'matmul' : 'linear';
  return { kind, operand, aBits: bits, bBits: otherBits, parts: 1, effort: 1 };
};
const ranges: LayerRanges = { a: [3], aEnds: { low: -1, high: 3 }, aRms: 0.5, b: [2, 1], gradientRms: 1 };
const given = (overrides: CalibrationOverrides = {}) => calibrationOptions('default', overrides);

describe('twin shifts after softmax', () => {
  const shifts = (
    plan: LayerPlan,
    depth: number,
    round: number,
    search: 'exhaustive' | 'coarse-to-fine' = 'coarse-to-fine',
  ) => softmaxShifts(plan, depth, given({ search }), round, 4);
  const upTo = (last: number) => Array.from({ length: last + 1 }, (_, i) => i);

  test('are all that the accumulator allows, 12 at most', () => {
    expect(shifts(planOf('post-softmax', 8), 197, 0)).toEqual(upTo(9));
    expect(shifts(planOf('post-softmax', 4), 197, 0)).toEqual(upTo(12));
    expect(shifts(planOf('post-softmax', 8), 197, 2, 'exhaustive')).toEqual(upTo(9));
  });

  test('are the current one and its neighbours in later rounds', () => {
    expect(shifts(planOf('post-softmax', 8), 197, 1)).toEqual([3, 4, 5]);
    expect(softmaxShifts(planOf('post-softmax', 8), 197, given(), 1, 9)).toEqual([8, 9]);
    expect(softmaxShifts(planOf('post-softmax', 8), 197, given(), 1, 0)).toEqual([0, 1]);
  });

  test('begin at 4, or at the largest allowed', () => {
    const start = (depth: number) => leftFamilies(planOf('post-softmax', 8), ranges, given({ softmax: 'twin' }), depth);
    expect(start(197)).toEqual([
      { by: 'shifts', initial: { type: 'twin-softmax', bits: 8, shift: 4, boundary: 'nearest' } },
    ]);
    expect(start(20_000)).toMatchObject([{ initial: { shift: maxTwinShift(8, 8, 20_000) } }]);
    expect(maxTwinShift(8, 8, 20_000)).toBeLessThan(4);
  });

  test('of few bits and rows have no bound but the form of the codes', () => {
    expect(maxTwinShift(2, 2, 16)).toBe(15);
    expect(maxTwinShift(8, 8, 2 ** 18)).toBe(-1);
  });
});

describe('families of quantizers', () => {
  const kinds = (wanted: ShapedQuantizer, plan: LayerPlan, seen: LayerRanges = ranges) =>
    leftFamilies(plan, seen, given({ softmax: wanted, gelu: wanted }), 64).map((family) => {
      return family.by === 'levels' ? family.space.kind.family : family.by === 'shifts' ? 'twin' : family.initial.type;
    });

  test('auto is twin ranges at 8 bits, and levels below', () => {
    expect(kinds('auto', planOf('post-softmax', 8))).toEqual(['twin']);
    expect(kinds('auto', planOf('post-gelu', 8))).toEqual(['twin-gelu']);
    expect(kinds('auto', planOf('post-softmax', 7))).toEqual(['adaptive-log']);
    expect(kinds('auto', planOf('post-gelu', 4))).toEqual(['adaptive-log']);
  });

  test('auto is levels where a GELU output lies 64 times beyond the root mean square, not where a probability does', () => {
    const far = (largest: number) => ({ ...ranges, a: [0.1, largest], aRms: 0.5 });
    expect(kinds('auto', planOf('post-gelu', 8), far(32))).toEqual(['twin-gelu']);
    expect(kinds('auto', planOf('post-gelu', 8), far(32.1))).toEqual(['adaptive-log']);
    expect(kinds('auto', planOf('post-softmax', 8), far(32.1))).toEqual(['twin']);
  });

  test('best is all of them, in the order of what they cost', () => {
    expect(kinds('best', planOf('post-softmax', 6))).toEqual(['uniform', 'twin', 'log2', 'adaptive-log']);
    expect(kinds('best', planOf('post-gelu', 6))).toEqual(['uniform', 'twin-gelu', 'log2', 'adaptive-log']);
    expect(kinds('best', planOf('plain', 6))).toEqual(['uniform']);
    expect(kinds('best', planOf('pixels', 8))).toEqual(['pixels']);
  });
});

test('a zero point is of inputs of linear layers that are uniform', () => {
  const zero = given({ activationOffset: 'zero-point', gelu: 'uniform' });
  expect(hasZeroPoint(planOf('plain', 8), zero)).toBe(true);
  expect(hasZeroPoint(planOf('post-gelu', 8), zero)).toBe(true);
  expect(hasZeroPoint(planOf('post-gelu', 8), { ...zero, gelu: 'twin' })).toBe(false);
  expect(hasZeroPoint(planOf('post-softmax', 8), { ...zero, softmax: 'uniform' })).toBe(false);
  expect(hasZeroPoint(planOf('plain', 8), given())).toBe(false);
  const [family] = leftFamilies(planOf('plain', 8), ranges, zero, 64);
  expect(family).toMatchObject({ initial: { scales: [Math.fround(4 / 255)], zeroPoint: -64 } });
});

test('factors are of the scales that hold the largest values, one group each', () => {
  const right = rightOperand(planOf('plain', 8, 4), ranges, given({ weightGranularity: 'channel' }));
  const [first, second] = [initialScale(2, 4), initialScale(1, 4)];
  expect(right).toMatchObject({ groups: 2, scoreGroups: { by: 'columns', parts: 2 } });
  expect(right.initial).toEqual({ type: 'uniform', bits: 4, granularity: 'channel', scales: [first, second] });
  expect(right.quantizer(Float64Array.of(0.5, 2)).scales).toEqual([first / 2, 2 * second]);
});

test('the patch embedding and the head keep 8 bits where the others have fewer than 6', () => {
  const network = buildNetwork(parseConfig(JSON.stringify(TINY_CONFIG), 'config.json'));
  const bits = (overrides: CalibrationOverrides) =>
    searchedLayers(network).map((operation) => layerPlan(operation, given(overrides)).bBits);
  const inner = (weight: number, activation: number) => [weight, activation, activation, weight, weight, weight];
  expect(bits({ weightBits: 5, activationBits: 7 })).toEqual([8, ...inner(5, 7), 8]);
  expect(bits({ weightBits: 6, activationBits: 7 })).toEqual([6, ...inner(6, 7), 6]);
  expect(bits({ weightBits: 5, activationBits: 7, outerWeightBits: 'same' })).toEqual([5, ...inner(5, 7), 5]);
});
