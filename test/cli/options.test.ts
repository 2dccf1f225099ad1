import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import type { RunReport } from '../../src/cli/runReport.ts';
import { twinshift, type Outcome } from '../support/command.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let model: string;
let images: string;
let out: string;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-options-'));
  model = writeModel(join(folder, 'model'));
  images = await writeImages(join(folder, 'images'), 3);
});
beforeEach(() => {
  out = join(folder, `out ${count++}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const QUICK = ['--preset', 'fast', '--count', '2', '--candidates', '2'];

function quantize(...flags: string[]): Promise<Outcome> {
  return twinshift(['quantize', model, '--images', images, '--out', out, ...QUICK, ...flags]);
}

function writeConfig(content: unknown): string {
  const file = `${out}.config.json`;
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

function results(): { recipe: Recipe; report: RunReport } {
  return {
    recipe: JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8')) as Recipe,
    report: JSON.parse(readFileSync(`${out}.run.json`, 'utf8')) as RunReport,
  };
}

async function expectRefused(run: Promise<Outcome>, message: string): Promise<void> {
  const { code, stdout, stderr } = await run;
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(existsSync(out)).toBe(false);
}

test('a flag goes over the settings file, the file over the preset, a rule over both', async () => {
  const file = writeConfig({
    weightBits: 4,
    activationBits: 6,
    rounds: 2,
    candidates: 7,
    layers: [{ pattern: 'blocks.*.mlp.*', options: { weightBits: 5 } }],
  });
  const { code, stderr } = await quantize('--config', file, '--weight-bits', '3');
  expect(code, stderr).toBe(0);
  const { recipe, report } = results();
  expect(recipe.options).toMatchObject({
    preset: 'fast',
    weightBits: 3,
    activationBits: 6,
    rounds: 2,
    candidates: 2,
    search: 'coarse-to-fine',
    layers: [{ pattern: 'blocks.*.mlp.*', options: { weightBits: 5 } }],
  });
  expect(report).toMatchObject({ weightBits: 3, activationBits: 6 });
  const bits = Object.fromEntries(recipe.layers.map(({ name, b }) => [name, b.bits]));
  expect(bits).toMatchObject({ 'blocks.0.attn.qkv': 3, 'blocks.0.mlp.fc1': 5, 'blocks.0.mlp.fc2': 5 });
});

test.each([
  [{ weightBit: 4 }, 'weightBit'],
  [{ weightBits: 9 }, 'weightBits is 9, wanted a number in 2..8'],
  [{ metric: 'cosin' }, 'metric'],
  [{ layers: [{ patern: '*', options: {} }] }, 'patern'],
  [{ layers: [{ pattern: '*', options: { seed: 1 } }] }, 'seed'],
  ['{ "weightBits": 4,', 'config.json'],
  ['[]', 'config.json'],
])('a settings file %j is refused by name', async (content, message) => {
  const file = writeConfig(content);
  const run = quantize('--config', file);
  await expectRefused(run, message);
  expect((await run).stderr).toContain(file);
});

test('a rule that matches no layer is refused with its pattern', async () => {
  const file = writeConfig({ layers: [{ pattern: 'blocks.*.fc3', options: {} }] });
  await expectRefused(quantize('--config', file), 'the pattern "blocks.*.fc3" of layers matches no layer of the model');
});

test('a settings file that is not there is refused', async () => {
  await expectRefused(quantize('--config', join(folder, 'none.json')), 'none.json does not exist');
});

test.each([
  [['--weight-bits', '9'], '--weight-bits must be an integer in 2..8, got "9"'],
  [['--metric', 'hesian'], '--metric must be one of hessian, mse, cosine'],
  [['--metrc', 'mse'], 'unknown flag --metrc; did you mean --metric?'],
  [['--percentile', '49'], '--percentile must be a number in 50..100, got "49"'],
  [['--target-bits', '1.9'], '--target-bits must be a number in 2..8, got "1.9"'],
  [['--softmax', 'log3'], 'did you mean log2?'],
  [['--activation-blocks', '3'], ': activationBlocks 3 does not divide its 16 input features'],
  [['--calibrator', 'omse', '--gelu', 'log2'], 'blocks.0.mlp.fc2: gelu "log2" is found by scores'],
  [['--target-bits', '4', '--weight-granularity', 'block'], 'patch_embed: a budget chooses between codes with'],
  [['--alpha', '1.2', '--beta', '1'], ': candidates lie between alpha and beta, got alpha 1.2 and beta 1'],
])('%j is refused', async (flags, message) => {
  await expectRefused(quantize(...flags), message);
});

test.each([
  ['--target-bits', '4.5', '--target-bytes', '9999'],
  ['--target-ms', '5', '--target-bits', '4'],
])('only one of %s %s %s %s can be the target', async (...flags) => {
  await expectRefused(quantize(...flags), 'exclude each other; give one');
});

test('a budget of bits is kept and told', async () => {
  const { code, stderr, stdout } = await quantize('--target-bits', '4.5');
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/budget +4\.\d+ of 4\.5 bits used, expected KL /);
  const { recipe, report } = results();
  expect(report.mixedPrecision).toMatchObject({ unit: 'bits', budget: 4.5 });
  expect(recipe.meanWeightBits).toBeLessThanOrEqual(4.5);
  expect(recipe.meanWeightBits).toBeGreaterThan(3.5);
  expect(report.mixedPrecision?.cost).toBeCloseTo(recipe.meanWeightBits, 10);
  expect(report.mixedPrecision?.curve.length).toBeGreaterThan(5);
});

test('a budget that cannot be kept is refused with the least that can', async () => {
  await expectRefused(
    quantize('--target-bytes', '100'),
    '100 bytes are too few for the weights of this model: the least is ',
  );
  await expectRefused(
    quantize('--target-ms', '0'),
    '0 ms are too few for the products of this model on this adapter: the least is ',
  );
});

test('with time to spare the quantizers of least damage are chosen', async () => {
  const { code, stderr } = await quantize('--target-ms', '10000', '--activation-bits', '4');
  expect(code, stderr).toBe(0);
  const { recipe, report } = results();
  expect(report.mixedPrecision).toMatchObject({ unit: 'ms', budget: 10000 });
  expect(report.mixedPrecision?.rules).toHaveLength(2); // probabilities and GELU outputs of the one block
  for (const { pattern, options } of report.mixedPrecision?.rules ?? []) {
    const { type } = (recipe.layers.find(({ name }) => name === pattern) as Recipe['layers'][number]).a;
    expect(type.startsWith('twin'), pattern).toBe((options.softmax ?? options.gelu) === 'twin');
  }
});

test('without images it calibrates on synthetic ones and says so', async () => {
  const run = ['quantize', model, '--images', 'none', '--out', out, ...QUICK, '--json'];
  const { code, stdout, stderr } = await twinshift(run);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ syntheticImages: true, images: 2, ignoredFiles: 0, warnings: [] });
  const { recipe } = results();
  expect(recipe.images.every(({ file }) => file.startsWith('synthetic-'))).toBe(true);
});

test('images of noise are told from photographs, on standard error and in the report', async () => {
  const { code, stderr } = await quantize();
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/^twinshift: warning: the calibration images are unlike photographs: 0 % /m);
  const { warnings, syntheticImages } = results().report;
  expect(syntheticImages).toBe(false);
  expect(warnings).toHaveLength(1);
  expect(stderr).toContain(`twinshift: warning: ${warnings[0] ?? ''}\n`);
});

test('the gradient of labels needs labels', async () => {
  const label = ['--gradient-seed', 'label'];
  await expectRefused(quantize(...label), 'has no labels.csv, which --gradient-seed label needs; give --labels <file>');
  const none = twinshift(['quantize', model, '--images', 'none', '--out', out, ...label]);
  await expectRefused(none, 'synthetic images have no labels');
  const file = `${out}.labels.csv`;
  const rows = readdirSync(images).map((name, i) => `${name},${i}`);
  writeFileSync(file, ['file,label', ...rows.slice(1), ''].join('\n'));
  await expectRefused(quantize(...label, '--labels', file), 'no label for the image "000.png"');
  writeFileSync(file, ['file,label', ...rows, ''].join('\n'));
  const { code, stderr } = await quantize(...label, '--labels', file);
  expect(code, stderr).toBe(0);
  const scores = (recipe: Recipe) => recipe.layers.map(({ score }) => score);
  const first = results().recipe;
  expect(first.options.gradientSeed).toBe('label');
  writeFileSync(file, ['file,label', ...rows.map((row) => row.replace(/\d$/, '9')), ''].join('\n'));
  expect((await quantize(...label, '--labels', file, '--force')).code).toBe(0);
  expect(scores(results().recipe)).not.toEqual(scores(first));
});

test('ablate prints a row a combination, as Markdown or JSON', async () => {
  const flags = ['--images', images, '--count', '1', '--bits', '6', '--preset', 'fast', '--eval-count', '1'];
  const labels = `${out}.labels.csv`;
  writeFileSync(labels, ['file,label', ...readdirSync(images).map((name) => `${name},3`), ''].join('\n'));
  const { code, stdout, stderr } = await twinshift(['ablate', model, ...flags, '--labels', labels, '--json']);
  expect(code, stderr).toBe(0);
  const { format, rows } = JSON.parse(stdout) as { format: string; rows: Record<string, unknown>[] };
  expect(format).toBe('twinshift-ablation');
  const switches = rows.map(({ hessian, softmaxTwin, geluTwin }) =>
    [hessian, softmaxTwin, geluTwin].map(Number).join(''),
  );
  expect(switches).toEqual(['000', '001', '010', '011', '100', '101', '110', '111']);
  for (const { weightBits, activationBits, comparison } of rows) {
    expect({ weightBits, activationBits }).toEqual({ weightBits: 6, activationBits: 6 });
    expect(comparison).toMatchObject({ images: 1 });
    expect((comparison as { klDivergence: number }).klDivergence).toBeGreaterThan(0);
  }
  const kl = rows.map(({ comparison }) => (comparison as { klDivergence: number }).klDivergence);
  expect(new Set(kl).size).toBeGreaterThan(4); // the switches do something
  const file = writeConfig({ weightGranularity: 'tensor', layers: [{ pattern: 'head', options: { weightBits: 2 } }] });
  const text = await twinshift(['ablate', model, ...flags, '--config', file, '--compensation', 'none']);
  expect(text.code, text.stderr).toBe(0);
  const lines = text.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe('| bits | Hessian | softmax twin | GELU twin | top-1 | agreement | KL | SQNR, dB |');
  expect(lines[9]).toMatch(/^\| W6A6 \| yes \| yes \| yes \| - \| (0|100)\.00 % \|/);
  const shown = lines.slice(2).map((line) => line.split('|')[7]?.trim());
  kl.forEach((value, i) => expect(shown[i]).not.toBe(value.toPrecision(3))); // of other options
});

test('ablate refuses options that its rows differ in, and those that do not fit', async () => {
  const flags = ['ablate', model, '--images', images, '--count', '1', '--bits', '6', '--eval-count', '1'];
  const refused = (more: string[], message: string) => expectRefused(twinshift([...flags, ...more]), message);
  await refused(['--softmax', 'log2'], 'unknown flag --softmax');
  await refused(['--gradient-seed', 'label'], 'ablate takes no labels of the images that it calibrates with');
  await refused(['--activation-offset', 'zero-point', '--activation-blocks', '2'], 'needs one static scale');
  for (const content of [{ metric: 'mse' }, { layers: [{ pattern: 'head', options: { metric: 'mse' } }] }]) {
    const own = writeConfig(content);
    await refused(['--config', own], `softmax, gelu itself; take metric out of ${own}`);
  }
});

test('ablate needs an image that it does not calibrate with', async () => {
  const run = twinshift(['ablate', model, '--images', images, '--count', '3', '--bits', '6']);
  await expectRefused(run, 'all of them calibrated with; give --eval or a lower --count');
});
