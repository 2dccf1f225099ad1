import { describe, expect, test } from 'vitest';
import { checkMeasurable, checkOptions } from '../../src/calibrate/checkOptions.ts';
import { OptionsError } from '../../src/calibrate/errors.ts';
import { CALIBRATORS, PRESET_NAMES, SHAPED_QUANTIZERS, type LayerOptions } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { parseConfig } from '../../src/model/parseConfig.ts';
import { TINY_CONFIG } from '../support/tinyModel.ts';

/** 16 features, 64 hidden ones, 10 classes. */
const network = buildNetwork(parseConfig(JSON.stringify(TINY_CONFIG), 'config.json'));
const check = (overrides: CalibrationOverrides, preset: (typeof PRESET_NAMES)[number] = 'default') => {
  checkOptions(network, calibrationOptions(preset, overrides));
};
const only = (pattern: string, options: Partial<LayerOptions>): CalibrationOverrides => ({
  layers: [{ pattern, options }],
});

test('every preset fits', () => {
  for (const preset of PRESET_NAMES) expect(() => check({}, preset), preset).not.toThrow();
});

test('a rule that matches no layer is refused with its pattern', () => {
  const rules = (...patterns: string[]) => ({ layers: patterns.map((pattern) => ({ pattern, options: {} })) });
  expect(() => check(rules('blocks.*.mlp.*', 'head', '*'))).not.toThrow();
  expect(() => check(rules('head', 'blocks.*.mlp.fc3'))).toThrow(OptionsError);
  expect(() => check(rules('head', 'blocks.*.mlp.fc3'))).toThrow(
    'the pattern "blocks.*.mlp.fc3" of layers matches no layer of the model',
  );
});

test.each<[CalibrationOverrides, string]>([
  [{ alpha: 1.1, beta: 1 }, 'patch_embed: candidates lie between alpha and beta, got alpha 1.1 and beta 1'],
  [{ alpha: 0, beta: 0 }, 'patch_embed: candidates lie between alpha and beta, got alpha 0 and beta 0'],
  [only('head', { alpha: 2 }), 'head: candidates lie between alpha and beta, got alpha 2 and beta 1.2'],
  [
    { weightGranularity: 'block', weightRowBlocks: 4 },
    'head: weightRowBlocks 4 does not divide its 10 output features',
  ],
  [
    { weightGranularity: 'block', weightColumnBlocks: 3, calibrator: 'omse' },
    'blocks.0.attn.qkv: weightColumnBlocks 3 does not divide its 16 input features',
  ],
  [
    { activationBlocks: 5, gelu: 'uniform' },
    'blocks.0.attn.qkv: activationBlocks 5 does not divide its 16 input features',
  ],
  [
    only('*.fc1', { activationBlocks: 2, activationOffset: 'zero-point' }),
    'blocks.0.mlp.fc1: activationOffset "zero-point" needs one static scale for all input features',
  ],
  [
    { activationScaling: 'per-token', activationOffset: 'zero-point' },
    'blocks.0.attn.qkv: activationOffset "zero-point" needs one static scale',
  ],
  [{ activationBlocks: 2 }, 'blocks.0.mlp.fc2: gelu "auto" is found by scores: set calibrator "search" and one scale'],
  [{ activationBlocks: 2, gelu: 'twin' }, 'blocks.0.mlp.fc2: gelu "twin" is found by scores'],
  [{ softmax: 'published-code', gelu: 'best' }, 'blocks.0.mlp.fc2: gelu "best" is found by scores'],
  [{ softmax: 'log2', gelu: 'published-code' }, 'blocks.0.attn.pv: softmax "log2" is found by scores'],
])('%j is refused', (overrides, message) => {
  expect(() => check(overrides)).toThrow(OptionsError);
  expect(() => check(overrides)).toThrow(message);
});

test.each<CalibrationOverrides>([
  { alpha: 1, beta: 1 },
  { weightRowBlocks: 7, weightColumnBlocks: 5 }, // of the granularity block alone
  { weightGranularity: 'block', weightRowBlocks: 2, weightColumnBlocks: 16 },
  { activationBlocks: 4, gelu: 'uniform' },
  { activationBlocks: 4, gelu: 'published-code' },
  only('head', { activationBlocks: 16 }),
])('%j fits', (overrides) => {
  expect(() => check(overrides)).not.toThrow();
});

test('a budget needs codes with a product of integers in every layer', () => {
  const measured = (overrides: CalibrationOverrides, preset: (typeof PRESET_NAMES)[number] = 'default') => {
    return () => checkMeasurable(network, calibrationOptions(preset, overrides));
  };
  expect(measured({ calibrator: 'omse' })).not.toThrow();
  expect(measured({ softmax: 'best', gelu: 'log2', activationOffset: 'zero-point' })).not.toThrow();
  expect(measured({ weightGranularity: 'block' })).toThrow(
    /^patch_embed: a budget chooses between codes with a product/,
  );
  expect(measured(only('head', { weightGranularity: 'block' }))).toThrow(/^head: a budget/);
  expect(measured({ activationScaling: 'per-token' })).toThrow(/^blocks\.0\.attn\.qkv: a budget/);
  expect(measured({}, 'reference')).toThrow(OptionsError);
});

describe.each(CALIBRATORS)('calibrator %s', (calibrator) => {
  test.each(['softmax', 'gelu'] as const)('gives the quantizers of %s that need no scores', (option) => {
    for (const wanted of SHAPED_QUANTIZERS) {
      const given = () => check(only('blocks.0.*', { calibrator, [option]: wanted }));
      const scored = wanted === 'log2' || wanted === 'adaptive-log' || wanted === 'best';
      if (calibrator === 'search' || !scored) expect(given, wanted).not.toThrow();
      else expect(given, wanted).toThrow(`${option} "${wanted}" is found by scores: set calibrator "search"`);
    }
  });
});
