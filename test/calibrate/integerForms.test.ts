import { beforeAll, expect, test } from 'vitest';
import { calibrate, type CalibrationResult } from '../../src/calibrate/calibrate.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { OPTION_FIELDS, type LayerOptions } from '../../src/calibrate/options.ts';
import { calibrationOptions, type CalibrationOverrides } from '../../src/calibrate/presets.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import type { LeftQuantizer } from '../../src/quantize/floatQuantizer.ts';
import { createSimulation } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { bitsOn } from '../support/expectBits.ts';
import { noise } from '../support/floats.ts';
import { tinyTensors, TINY_CONFIG } from '../support/tinyModel.ts';

/** Every quantizer that an option can ask for either runs in integers, bit for bit as the plain engine, or is refused by name. */

const shared = useGpu();
const expectBits = bitsOn(shared);
let model: Model;
let images: CalibrationImage[];
beforeAll(async () => {
  model = await loadModel({ configJson: JSON.stringify(TINY_CONFIG), weights: writeSafetensors(tinyTensors()) });
  images = [1, 2].map((seed) => ({
    file: `${seed}.png`,
    sha256: String(seed).repeat(64),
    rgb: Uint8Array.from(noise(3 * 32 * 32, seed, 127), (value) => value + 128),
  }));
});

/** What an option may be set to, the options that it needs besides, and how an export of it is refused: null where it runs. */
type Case<Value> = readonly [value: Value, refused: string | null, besides?: CalibrationOverrides];
/** Options that choose among the codes of other options, or move float parameters before any are made. */
const SCORES_AND_FLOATS = [
  ...([
    'seed',
    'percentile',
    'metric',
    'gradientSeed',
    'gradientDraws',
    'augmentation',
    'search',
    'candidates',
  ] as const),
  ...(['rounds', 'alpha', 'beta', 'folding', 'foldingStrength', 'weightRowBlocks', 'weightColumnBlocks'] as const),
];
type OfCodes = Exclude<keyof LayerOptions, (typeof SCORES_AND_FLOATS)[number]>;
type Cases = { readonly [K in OfCodes]: readonly Case<LayerOptions[K]>[] };

const BLOCK = '^(patch_embed|blocks\\.0\\.\\S+): "block" codes have no product of integers';
const PER_TOKEN = '^blocks\\.0\\.\\S+: "per-token" codes have no product of integers';
const RANGES = { calibrator: 'omse', softmax: 'twin', gelu: 'twin' } as const;
const SHAPED: readonly Case<LayerOptions['softmax']>[] = [
  ['uniform', null],
  ['twin', null],
  ['log2', null, { activationBits: 4 }],
  ['adaptive-log', null],
  ['auto', null, { activationBits: 5 }],
  ['best', null, { activationBits: 4 }],
];
const CASES: Cases = {
  weightBits: [2, 5, 8].map((bits) => [bits, null]),
  activationBits: [3, 4, 8].map((bits) => [bits, null]),
  outerWeightBits: [
    ['same', null, { weightBits: 4 }],
    ['at-least-8-below-6', null, { weightBits: 4 }],
  ],
  calibrator: [
    ['search', null],
    ...(['min-max', 'moving-average', 'percentile', 'omse', 'aciq', 'entropy'] as const).map(
      (calibrator) => [calibrator, null, { ...RANGES, calibrator }] as const,
    ),
  ],
  softmax: [...SHAPED, ['published-code', '^blocks\\.0\\.attn\\.pv: "published-softmax" codes', { gelu: 'uniform' }]],
  gelu: [
    ...SHAPED,
    ['uniform', null, { activationOffset: 'zero-point' }],
    ['published-code', '^blocks\\.0\\.mlp\\.fc2: "published-gelu" codes', { softmax: 'uniform' }],
  ],
  twinBoundary: [
    ['nearest', null, { activationBits: 4, softmax: 'twin' }],
    ['published', null, { activationBits: 4, softmax: 'twin' }],
  ],
  weightGranularity: [
    ['tensor', null],
    ['part', null],
    ['channel', null],
    ['block', BLOCK, { weightRowBlocks: 2, weightColumnBlocks: 4 }],
    ['block', BLOCK, { weightColumnBlocks: 4, ...RANGES }],
  ],
  attentionGranularity: [
    ['tensor', null, { softmax: 'uniform' }],
    ['head', null, { softmax: 'uniform' }],
  ],
  activationBlocks: [
    [1, null],
    [4, BLOCK, { gelu: 'uniform' }],
  ],
  integerRange: [
    ['full', null],
    ['restricted', '^blocks\\.0\\.\\S+: integer inference writes all codes of an activation; set integerRange "full"'],
  ],
  activationOffset: [
    ['none', null],
    ['zero-point', null],
    ['zero-point', null, { ...RANGES, activationBits: 5 }],
  ],
  activationScaling: [
    ['static', null],
    ['per-token', PER_TOKEN],
    ['per-token', PER_TOKEN, RANGES],
  ],
  compensation: [
    ['none', null],
    ['gptq', null, { weightBits: 4 }],
    ['ridge-gptq', null, { weightBits: 4 }],
  ],
  rounding: [
    ['nearest', null],
    ['refined', null, { weightBits: 4 }],
  ],
  biasCorrection: [
    ['none', null],
    ['layer', null],
    ['network', null],
  ],
};

/** How the codes of each type end. */
const TYPES: Readonly<Record<LeftQuantizer['type'], 'runs' | 'refused'>> = {
  uniform: 'runs',
  'twin-softmax': 'runs',
  'twin-gelu': 'runs',
  pixels: 'runs',
  levels: 'runs',
  block: 'refused',
  'per-token': 'refused',
  'published-softmax': 'refused',
  'published-gelu': 'refused',
};
const met = new Set<string>();

const EVERY = Object.entries(CASES).flatMap(([name, cases]) =>
  (cases as readonly Case<string | number>[]).map(([value, refused, besides = {}]) => {
    return { name, value, refused, besides, title: `${name} ${value} ${JSON.stringify(besides)}` };
  }),
);

test('the table has every word of every option', () => {
  for (const [name, field] of Object.entries(OPTION_FIELDS)) {
    if ((SCORES_AND_FLOATS as readonly string[]).includes(name)) continue;
    const values = new Set(EVERY.filter((each) => each.name === name).map(({ value }) => value));
    if (field.kind === 'word') expect(values, name).toEqual(new Set<string | number>(field.words));
    else expect(values.size, name).toBeGreaterThan(1);
  }
});

test.each(EVERY)('$title', async ({ name, value, refused, besides }) => {
  const plain = { compensation: 'none', rounding: 'nearest', biasCorrection: 'none' } as const;
  const quick = { search: 'exhaustive', candidates: 2, rounds: 1, alpha: 0.8, beta: 1, metric: 'mse' } as const;
  const options = calibrationOptions('default', { ...quick, ...plain, ...besides, [name]: value });
  const made = await calibrate(shared.gpu, model, images, options);
  const types = made.recipe.layers.flatMap(({ a, b }) => [a.type, b.type]);
  for (const type of types) met.add(type);
  expect(types.some((type) => TYPES[type] === 'refused') || value === 'restricted').toBe(refused !== null);
  if (refused !== null) {
    await expect(exported(made)).rejects.toThrow(new RegExp(refused));
    await expect(exported(made)).rejects.toHaveProperty('name', 'ExportError');
    return;
  }
  const integer = await exported(made);
  for (const [layer, { codes }] of made.weights) {
    if (options.weightBits > 2) expect(integer.linear.get(layer)?.codes, layer).toEqual(codes);
  }
  const pixels = Uint8Array.from(images.flatMap(({ rgb }) => [...rgb]));
  await expectBits(integer, pixels, images.length);
  const engine = referenceEngine(integer);
  const found = Float64Array.from(await engine.run(pixels, images.length), (logit) => logit * engine.logitScale);
  const simulation = await createSimulation(shared.gpu, model, made.recipe, quantizedWeightsFile(made));
  const wanted = await simulation.logits(images.map(({ rgb }) => rgb));
  simulation.destroy();
  expect(nmse(found, wanted)).toBeLessThan(0.2);
});

test('codes of every type were met', () => {
  expect(met).toEqual(new Set(Object.keys(TYPES)));
});

function exported(made: CalibrationResult) {
  return exportModel({
    recipe: made.recipe,
    recipeText: recipeText(made.recipe),
    weights: quantizedWeightsFile(made),
    weightsFile: 'weights.safetensors',
    writtenBy: 'test',
  });
}
