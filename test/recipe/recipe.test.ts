import { expect, test } from 'vitest';
import { checkRecipeFits } from '../../src/calibrate/fitRecipe.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { parseRecipe } from '../../src/calibrate/readRecipe.ts';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { FormatError } from '../../src/io/errors.ts';
import type { LinearOperation, MatmulOperation, Network, Operation } from '../../src/model/graph.ts';

const HASH = 'ab'.repeat(32);

const recipe: Recipe = {
  format: 'twinshift-recipe',
  version: 4,
  model: { architecture: 'vit', weightsSha256: HASH, config: { anything: [1, 2] } },
  options: calibrationOptions('default', { weightBits: 6, seed: 3 }),
  images: [{ file: 'a.png', sha256: HASH }],
  meanWeightBits: 6,
  meanActivationBits: 7.5,
  layers: [
    {
      name: 'embed',
      kind: 'linear',
      a: { type: 'pixels', bits: 8 },
      b: { type: 'uniform', bits: 6, granularity: 'channel', scales: [0.5, 0.25] },
      score: 0.125,
    },
    {
      name: 'pv',
      kind: 'matmul',
      a: { type: 'twin-softmax', bits: 8, shift: 4, boundary: 'nearest' },
      b: { type: 'uniform', bits: 8, granularity: 'head', scales: [0.5, Math.fround(0.1), 1] },
      score: 1e-9,
      maxShift: 9,
    },
    {
      name: 'fc2',
      kind: 'linear',
      a: { type: 'twin-gelu', bits: 8, scaleR2: Math.fround(0.03), shift: 3 },
      b: { type: 'uniform', bits: 6, granularity: 'part', scales: [0.5] },
      score: 0,
      maxShift: 7,
    },
  ],
  integer: {
    ranges: { 'only.scores': 12.25, 'only.fc1': 0, 'only.y': 3e-9 },
    nonlinear: [
      {
        name: 'only.softmax',
        kind: 'softmax',
        method: 'poly',
        errors: { shift: 0.5, 'shift-fixed': null, poly: 1e-7, lut: 0.25 },
      },
      {
        name: 'only.gelu',
        kind: 'gelu',
        method: 'shift',
        errors: { shift: 0, 'shift-fixed': 0, poly: 0, lut: 0 },
      },
    ],
  },
};

const linear = (
  name: string,
  operand: LinearOperation['operand'],
  inFeatures: number,
  input: string,
): LinearOperation => ({
  kind: 'linear',
  name,
  input,
  output: 'y',
  weight: `${name}.weight`,
  bias: null,
  rows: 4,
  inFeatures,
  outFeatures: 2,
  parts: 1,
  operand,
});
const view = { tensor: 'x', offset: 0, headStride: 1, rowStride: 1, columnStride: 1 };
const pv: MatmulOperation = {
  kind: 'matmul',
  name: 'pv',
  a: { ...view, tensor: 'probs' },
  b: view,
  output: view,
  windows: 1,
  heads: 3,
  rows: 4,
  depth: 197,
  columns: 2,
  operand: 'post-softmax',
};
const operations: Operation[] = [
  linear('embed', 'pixels', 8, 'x'),
  { kind: 'softmax', name: 'only.softmax', input: 'scores', output: 'probs', rows: 12, columns: 197, scale: 1 },
  pv,
  { kind: 'gelu', name: 'only.gelu', input: 'fc1', output: 'gelu', count: 4 * 768 },
  linear('fc2', 'post-gelu', 768, 'gelu'),
];
const [embedOf, deepFc2] = [operations[0] as Operation, linear('fc2', 'post-gelu', 3072, 'gelu')];
const network: Network = {
  units: [{ name: 'only', input: 'x', output: 'y', elements: {}, operations }],
  numClasses: 2,
};

/** The recipe as text with the member at `path` (such as `layers.0.score`) replaced, or removed where `value` is undefined. */
function changed(path: string, value: unknown): string {
  const copy = structuredClone(recipe) as unknown;
  const keys = path.split('.');
  const last = keys.pop() as string;
  const parent = keys.reduce((at, key) => (at as Record<string, unknown>)[key], copy) as Record<string, unknown>;
  parent[last] = value;
  return JSON.stringify(copy);
}

test('a recipe reads as it was written', () => {
  expect(parseRecipe(JSON.stringify(recipe, null, 2), 'recipe.json')).toEqual(recipe);
});

test('its text reads back, a layer a line', () => {
  const text = recipeText(recipe);
  expect(parseRecipe(text, 'recipe.json')).toEqual(recipe);
  const lines = text.split('\n');
  expect(lines.filter((line) => line.startsWith('    {"name":'))).toHaveLength(3);
  expect(lines.filter((line) => /^ {6}"only\.\w+": [\d.e-]+,?$/.test(line))).toHaveLength(3);
  expect(lines.filter((line) => line.startsWith('      {"name":"only.'))).toHaveLength(2);
});

test('members that version 4 does not know are dropped', () => {
  const text = changed('layers.0.a', { ...recipe.layers[0]?.a, extra: 1 });
  expect(parseRecipe(text, 'recipe.json')).toEqual(recipe);
});

test.each<[string, string, unknown]>([
  ['recipe.json: format is "other", wanted "twinshift-recipe"', 'format', 'other'],
  ['recipe.json: version is 3, wanted 4: this program reads version 4 only; quantize again', 'version', 3],
  ['recipe.json: version is 5, wanted 4', 'version', 5],
  ['version is missing', 'version', undefined],
  ['model is missing, wanted an object', 'model', undefined],
  ['model.weightsSha256 is "AB"', 'model.weightsSha256', 'AB'],
  ['options.weightBits is 9, wanted a number in 2..8', 'options.weightBits', 9],
  ['options.metric is "none", wanted one of hessian, mse, cosine', 'options.metric', 'none'],
  ['options.gelu is 1, wanted one of uniform, twin', 'options.gelu', 1],
  ['options.layers is missing, wanted an array', 'options.layers', undefined],
  [
    'options.layers[0].options.seed is 1, wanted none of that name',
    'options.layers',
    [{ pattern: '*', options: { seed: 1 } }],
  ],
  ['options.seed is 1.5, wanted an integer', 'options.seed', 1.5],
  ['images is {}, wanted an array', 'images', {}],
  ['images[0].file is 3, wanted a text', 'images.0.file', 3],
  ['meanWeightBits is null', 'meanWeightBits', null],
  ['layers[0].kind is "conv", wanted one of linear, matmul', 'layers.0.kind', 'conv'],
  ['layers[0].a.bits is 6', 'layers.0.a.bits', 6],
  ['layers[0].b.scales[1] is 0, wanted a positive f32', 'layers.0.b.scales.1', 0],
  ['layers[0].b.scales[1] is -1, wanted a positive f32', 'layers.0.b.scales.1', -1],
  ['layers[0].b.scales[1] is 0.1, wanted a positive f32', 'layers.0.b.scales.1', 0.1],
  ['layers[0].b.scales[1] is 1e+39', 'layers.0.b.scales.1', 1e39],
  ['layers[1].a.shift is 16, wanted a number in 0..15', 'layers.1.a.shift', 16],
  ['layers[1].a.boundary is "near"', 'layers.1.a.boundary', 'near'],
  ['layers[1].b.type is "twin-gelu", wanted one of uniform, block', 'layers.1.b.type', 'twin-gelu'],
  ['layers[1].score is missing', 'layers.1.score', undefined],
  ['layers[1].maxShift is "9"', 'layers.1.maxShift', '9'],
  ['layers[2].a.scaleR2 is null', 'layers.2.a.scaleR2', null],
  ['layers[2] is 7, wanted an object', 'layers.2', 7],
  ['integer is missing, wanted an object', 'integer', undefined],
  ['integer.ranges is [], wanted an object', 'integer.ranges', []],
  ['integer.ranges.x is -1, wanted a number in 0..', 'integer.ranges', { x: -1 }],
  ['integer.ranges.x is null, wanted a number in 0..', 'integer.ranges', { x: null }],
  ['integer.nonlinear is {}, wanted an array', 'integer.nonlinear', {}],
  ['integer.nonlinear[0].kind is "relu", wanted one of softmax, gelu', 'integer.nonlinear.0.kind', 'relu'],
  ['integer.nonlinear[0].method is "float", wanted one of shift, shift-fixed', 'integer.nonlinear.0.method', 'float'],
  ['integer.nonlinear[0].errors.lut is missing', 'integer.nonlinear.0.errors.lut', undefined],
  ['integer.nonlinear[0].errors.lut is -1e-9', 'integer.nonlinear.0.errors.lut', -1e-9],
  ['integer.nonlinear[1].name is ""', 'integer.nonlinear.1.name', ''],
])('%s', (message, path, value) => {
  expect(() => parseRecipe(changed(path, value), 'recipe.json')).toThrow(FormatError);
  expect(() => parseRecipe(changed(path, value), 'recipe.json')).toThrow(message);
});

test('text that is no JSON, or holds a key twice, is refused', () => {
  expect(() => parseRecipe('{"format":', 'r/recipe.json')).toThrow(/^r\/recipe\.json is not JSON: /);
  expect(() => parseRecipe('[]', 'recipe.json')).toThrow('the document is [], wanted an object');
  const twice = JSON.stringify(recipe).replace('"seed":3', '"seed":3,"seed":4');
  expect(() => parseRecipe(twice, 'recipe.json')).toThrow('holds the key "seed" twice');
});

test('a nonlinear operation that is listed twice is refused', () => {
  const [softmax, gelu] = recipe.integer.nonlinear;
  const text = changed('integer.nonlinear', [softmax, gelu, softmax]);
  expect(() => parseRecipe(text, 'recipe.json')).toThrow(
    'integer.nonlinear[2].name is "only.softmax", wanted one softmax of this name',
  );
  const other = changed('integer.nonlinear', [softmax, gelu, { ...gelu, kind: 'softmax' }]);
  expect(() => parseRecipe(other, 'recipe.json')).not.toThrow();
});

const fit = (text: string, weightsSha256 = HASH) =>
  checkRecipeFits(parseRecipe(text, 'r.json'), 'r.json', { network, weightsSha256 }, 'models/m');
const [embed, pvLayer, fc2] = recipe.layers;

test('a recipe fits the model that it was made for', () => {
  expect(() => fit(JSON.stringify(recipe))).not.toThrow();
});

test('a recipe of other weights is refused with both hashes and the model', () => {
  expect(() => fit(JSON.stringify(recipe), 'cd'.repeat(32))).toThrow(
    /SHA-256 abababababab.*models\/m has cdcdcdcdcdcd/,
  );
});

test.each<[string, string, unknown]>([
  ['layer 1 is linear fc2, the network of models/m has matmul pv there', 'layers', [embed, fc2]],
  ['layer 2 is missing, the network of models/m has linear fc2 there', 'layers', [embed, pvLayer]],
  ['layer 3 is linear embed, the network of models/m has only 3 layers', 'layers', [embed, pvLayer, fc2, embed]],
  ['layer 0 is matmul embed', 'layers.0.kind', 'matmul'],
  ['layer embed: operand b has 1 scales, one per channel makes 2', 'layers.0.b.scales', [0.5]],
  ['layer embed: operand b cannot have a scale per head', 'layers.0.b.granularity', 'head'],
  ['layer pv: operand b cannot have a scale per channel', 'layers.1.b.granularity', 'channel'],
  ['layer pv: operand a is quantized as twin-gelu', 'layers.1.a', fc2?.a],
  ['layer embed: operand a is quantized as uniform, its pixels values need pixels', 'layers.0.a', fc2?.b],
  // the bounds of PTQ4ViT's alignment by shifts: 2^m 127 197 128 < 2^31 up to m = 9, 2^m 127 768 32 < 2^31 up to m = 9
  ['layer pv: twin shift 10 could wrap the 32-bit accumulator, at most 9 fits depth 197', 'layers.1.a.shift', 10],
  ['layer fc2: twin shift 10 could wrap the 32-bit accumulator, at most 9 fits depth 768', 'layers.2.a.shift', 10],
  ['integer.ranges has no only.scores, which integer inference of models/m', 'integer.ranges', { 'only.fc1': 1 }],
  ['integer.ranges has no only.y', 'integer.ranges', { 'only.fc1': 1, 'only.scores': 1 }],
  ['integer.nonlinear has no softmax only.softmax', 'integer.nonlinear', recipe.integer.nonlinear.slice(1)],
  ['integer.nonlinear has no gelu only.gelu', 'integer.nonlinear', recipe.integer.nonlinear.slice(0, 1)],
])('r.json: %s', (message, path, value) => {
  expect(() => fit(changed(path, value))).toThrow(FormatError);
  expect(() => fit(changed(path, value))).toThrow(`r.json: ${message}`);
});

test('a nonlinear operation needs an entry where its codes have an integer form', () => {
  const uniform = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [0.5] };
  const integer = { ...recipe.integer, nonlinear: [] };
  for (const a of [uniform, pvLayer?.a]) {
    const text = JSON.stringify({ ...recipe, layers: [embed, { ...pvLayer, a }, fc2], integer });
    expect(() => fit(text)).toThrow('integer.nonlinear has no softmax');
  }
});

const probabilities = { type: 'levels', operand: 'softmax', family: 'adaptive-log', bits: 2, step: 0.5 } as const;
const levels = { ...probabilities, levels: [0, 1, 16383] };

test('levels read as they were written and fit where their values are', () => {
  const text = changed('layers.1.a', levels);
  expect(parseRecipe(text, 'r.json').layers[1]?.a).toEqual(levels);
  expect(() => fit(text)).not.toThrow();
});

test.each<[string, unknown]>([
  ['layers[1].a.levels is [], wanted 1 to 4 levels', { levels: [] }],
  ['layers[1].a.levels is [0,1,2,3,4], wanted 1 to 4 levels', { levels: [0, 1, 2, 3, 4] }],
  ['layers[1].a.levels[1] is 1.5, wanted an integer in 0..16383', { levels: [0, 1.5] }],
  ['layers[1].a.levels[1] is 16384, wanted a number in 0..16383', { levels: [0, 16384] }],
  ['layers[1].a.levels[0] is -1, wanted a number in 0..16383', { levels: [-1, 0] }],
  ['layers[1].a.levels[0] is -128, wanted a number in -127..16256', { operand: 'gelu', levels: [-128, 0] }],
  ['layers[1].a.levels[2] is 7, wanted a level above the one before it', { levels: [0, 7, 7] }],
  ['layers[1].a.step is 0.1, wanted a positive f32', { step: 0.1 }],
  ['layers[1].a.operand is "relu", wanted one of softmax, gelu', { operand: 'relu' }],
  ['layers[1].a.family is "log3", wanted one of log2, adaptive-log', { family: 'log3' }],
])('levels: %s', (message, change) => {
  expect(() => parseRecipe(changed('layers.1.a', { ...levels, ...(change as object) }), 'r.json')).toThrow(message);
});

test('levels of other values, or that could wrap the accumulator, do not fit', () => {
  expect(() => fit(changed('layers.2.a', levels))).toThrow(
    'r.json: layer fc2: operand a has levels of softmax, its values are those of gelu',
  );
  // level * 3072 * 2^7 < 2^31 up to 5461
  const deep = { ...network, units: network.units.map((unit) => ({ ...unit, operations: [embedOf, pv, deepFc2] })) };
  const fitDeep = (level: number) => {
    const gelu = { ...levels, operand: 'gelu', levels: [-127, 0, level] };
    const layers = [embed, pvLayer, { ...fc2, a: gelu, b: { ...fc2?.b, bits: 8 } }];
    const text = JSON.stringify({ ...recipe, layers });
    checkRecipeFits(parseRecipe(text, 'r.json'), 'r.json', { network: deep, weightsSha256: HASH }, 'models/m');
  };
  expect(() => fitDeep(5461)).not.toThrow();
  expect(() => fitDeep(5462)).toThrow(
    'layer fc2: level 5462 could wrap the 32-bit accumulator, at most 5461 fits depth 3072',
  );
});

test('the largest shift that the accumulator allows is accepted', () => {
  expect(() => fit(changed('layers.1.a.shift', 9))).not.toThrow();
});

const block = {
  type: 'block',
  bits: 4,
  rowBlocks: 2,
  columnBlocks: 4,
  scales: new Array<number>(8).fill(0.5),
} as const;
const inputs = { ...block, rowBlocks: 1, scales: [0.5, 0.25, 1, 2] };
const offset = {
  type: 'uniform',
  bits: 4,
  granularity: 'tensor',
  scales: [0.5],
  restricted: true,
  zeroPoint: -7,
} as const;
const untied = { type: 'published-gelu', bits: 8, scales: [0.5, 0.25], negativeScale: 0.125 } as const;

test.each<[string, string, unknown]>([
  ['blocks of a weight', 'layers.2.b', block],
  ['restricted blocks', 'layers.2.b', { ...block, restricted: true }],
  ['runs of inputs', 'layers.2.a', inputs],
  ['a zero point', 'layers.2.a', offset],
  ['scales per token', 'layers.2.a', { type: 'per-token', bits: 8 }],
  ['untied ranges after GELU', 'layers.2.a', untied],
  ['a sum of ranges after softmax', 'layers.1.a', { type: 'published-softmax', bits: 8, split: 2 ** -8 }],
])('%s read as they were written and fit', (_what, path, quantizer) => {
  const text = changed(path, quantizer);
  const [, layer, side] = path.split('.') as [string, string, 'a' | 'b'];
  expect(parseRecipe(text, 'r.json').layers[Number(layer)]?.[side]).toEqual(quantizer);
  expect(() => fit(text)).not.toThrow();
});

test.each<[string, string, unknown]>([
  ['layers[2].a.restricted is false, wanted true, or no such member', 'layers.2.a', { ...offset, restricted: false }],
  ['layers[2].a.zeroPoint is -8, wanted a number in -7..7', 'layers.2.a', { ...offset, zeroPoint: -8 }],
  ['layers[2].a.zeroPoint is 0.5, wanted an integer', 'layers.2.a', { ...offset, zeroPoint: 0.5 }],
  ['layers[1].a.split is 2, wanted a number', 'layers.1.a', { type: 'published-softmax', bits: 8, split: 2 }],
  ['layers[2].b.rowBlocks is 0, wanted a number in 1..65536', 'layers.2.b', { ...block, rowBlocks: 0 }],
  ['layers[2].a.negativeScale is 0', 'layers.2.a', { ...untied, negativeScale: 0 }],
  ['layer fc2: operand b has 8 scales, its 2 x 2 blocks make 4', 'layers.2.b', { ...block, columnBlocks: 2 }],
  [
    'layer fc2: 768 input features do not divide into 5 blocks',
    'layers.2.a',
    { ...inputs, columnBlocks: 5, scales: [1, 1, 1, 1, 1] },
  ],
  [
    'layer fc2: 2 output features do not divide into 4 blocks',
    'layers.2.b',
    { ...block, rowBlocks: 4, columnBlocks: 2 },
  ],
  ['layer fc2: operand a has 2 runs of tokens', 'layers.2.a', block],
  ['layer pv: operand b of attention cannot be quantized as block', 'layers.1.b', block],
  ['layer pv: operand a is quantized as per-token', 'layers.1.a', { type: 'per-token', bits: 8 }],
  ['layer pv: operand a cannot have a zero point', 'layers.1.a', offset],
  ['layer fc2: operand b cannot have a zero point', 'layers.2.b', offset],
])('%s', (message, path, value) => {
  expect(() => fit(changed(path, value))).toThrow(FormatError);
  expect(() => fit(changed(path, value))).toThrow(`r.json: ${message}`);
});
