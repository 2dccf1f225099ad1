import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { parseSafetensors, writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import { twinshift } from '../support/command.ts';
import { tinyTensors, writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let model: string;
let images: string;
let recipe: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-evaluate-'));
  model = writeModel(join(folder, 'model'));
  images = await writeImages(join(folder, 'images'), 20);
  recipe = join(folder, 'w4');
  const bits = ['--weight-bits', '4', '--activation-bits', '4', '--count', '8'];
  const { code, stderr } = await twinshift(['quantize', model, '--images', images, '--out', recipe, ...bits]);
  expect(code, stderr).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

const LABELS = Array.from({ length: 20 }, (_, i) => i % 10);

function writeLabels(file: string, header = 'file,label'): string {
  const rows = LABELS.map((label, i) => `${String(i).padStart(3, '0')}.png,${label}`);
  writeFileSync(file, `${[header, ...rows].join('\r\n')}\r\n`);
  return file;
}

type Fraction = 'top1' | 'top5' | 'floatTop1' | 'floatTop5' | 'agreement';
type Measure = 'images' | 'topOneDropPoints' | 'klDivergence' | 'logitSqnrDb' | 'meanWeightBits' | 'meanActivationBits';
type Measures = Record<Fraction | Measure, number | null> & { adapter: { software: boolean } };

async function measures(...flags: string[]): Promise<Measures> {
  const { code, stdout, stderr } = await twinshift(['evaluate', model, '--images', images, '--json', ...flags]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Measures; // one document and nothing else
}

const KEYS = [
  'images',
  'top1',
  'top5',
  'floatTop1',
  'floatTop5',
  'agreement',
  'topOneDropPoints',
  'klDivergence',
  'logitSqnrDb',
  'meanWeightBits',
  'meanActivationBits',
  'seconds',
  'adapter',
];

test('a 4-bit model is measured against the float one', async () => {
  const labels = writeLabels(join(folder, 'labels.csv'));
  const got = await measures('--recipe', recipe, '--labels', labels);
  expect(Object.keys(got)).toEqual(KEYS);
  expect(got.images).toBe(20);
  for (const key of ['top1', 'top5', 'floatTop1', 'floatTop5', 'agreement'] as const) {
    expect(Number.isInteger(Math.round((got[key] as number) * 20 * 1e9) / 1e9), key).toBe(true);
  }
  expect(got.topOneDropPoints).toBeCloseTo(100 * ((got.floatTop1 as number) - (got.top1 as number)), 9);
  expect(got.klDivergence).toBeGreaterThan(1e-5);
  expect(got.logitSqnrDb).toBeGreaterThan(3);
  expect(got.logitSqnrDb).toBeLessThan(40);
  // patch embedding (12288 weights) and head (160) stay at 8 bits below 6
  const four = 16 * 48 + 16 * 16 + 2 * 16 * 64;
  expect(got.meanWeightBits).toBeCloseTo((8 * (12288 + 160) + 4 * four) / (12288 + 160 + four), 9);
  expect(got.adapter.software).toBe(true);
});

test('without labels top-1 is unknown, without a recipe the float model is itself', async () => {
  const unlabelled = await measures('--recipe', recipe);
  expect(unlabelled).toMatchObject({
    top1: null,
    top5: null,
    floatTop1: null,
    floatTop5: null,
    topOneDropPoints: null,
  });
  expect(unlabelled.klDivergence).toBeGreaterThan(0);
  const labels = writeLabels(join(folder, 'labels.csv'));
  const float = await measures('--labels', labels);
  expect(float).toMatchObject({ agreement: 1, klDivergence: 0, logitSqnrDb: null, topOneDropPoints: 0 });
  expect(float).toMatchObject({ meanWeightBits: 32, meanActivationBits: 32 });
  expect(float.top1).toBe(float.floatTop1);
});

test('labels.csv beside the images is used, and the text shows intervals', async () => {
  const labelled = join(folder, 'labelled');
  cpSync(images, labelled, { recursive: true });
  writeLabels(join(labelled, 'labels.csv'));
  const { code, stdout, stderr } = await twinshift(['evaluate', model, '--images', labelled, '--recipe', recipe]);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^20 images, quantized against float\n/);
  expect(stdout).toMatch(/float +\d+\.\d % +\d+\.\d % to \d+\.\d %/);
  expect(stdout).toMatch(/top-1 drop +-?\d+\.\d\d points/);
});

async function refusal(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await twinshift(['evaluate', model, '--images', images, ...flags]);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
  return stderr;
}

/** A copy of the recipe folder. */
function copy(name: string): string {
  cpSync(recipe, join(folder, name), { recursive: true });
  return join(folder, name);
}

test('a recipe that is missing, of another version or of another model is refused', async () => {
  expect(await refusal('--recipe', join(folder, 'none'))).toContain('none does not exist');
  expect(await refusal('--recipe', images)).toContain('recipe.json does not exist');

  const older = copy('older');
  const text = readFileSync(join(older, 'recipe.json'), 'utf8');
  writeFileSync(join(older, 'recipe.json'), text.replace('"version": 4', '"version": 3'));
  expect(await refusal('--recipe', older)).toContain('version is 3, wanted 4');

  const other = writeModel(join(folder, 'other'), tinyTensors(2));
  const { code, stderr } = await twinshift(['evaluate', other, '--images', images, '--recipe', recipe]);
  expect(code).toBe(2);
  expect(stderr).toContain(`was made for a model.safetensors with SHA-256 ${sha(text).slice(0, 12)}`);
  expect(stderr).toContain(other);
});

function sha(text: string): string {
  return (JSON.parse(text) as Recipe).model.weightsSha256;
}

test.each<[string, (tensors: TensorToWrite[]) => TensorToWrite[], string]>([
  ['lack a tensor', (tensors) => tensors.filter(({ name }) => name !== 'head.codes'), 'has no tensor head.codes'],
  [
    'hold a code beyond the width',
    replacing('blocks.0.mlp.fc1.codes', new Int8Array(64 * 16).fill(8, 5, 6)),
    'blocks.0.mlp.fc1.codes holds 8 at element 5, outside its 4 bits',
  ],
  [
    'hold other scales',
    replacing('head.scales', new Float32Array(10).fill(1)),
    'head.scales holds 1 at element 0, the recipe',
  ],
  ['hold a NaN', replacing('head.bias', new Float32Array(10).fill(NaN, 2, 3)), '"head.bias" holds NaN at element 2'],
])('quantized weights that %s are refused', async (what, change, message) => {
  const changed = copy(what);
  const file = join(changed, 'weights.safetensors');
  const { tensors } = parseSafetensors(readFileSync(file), file);
  const entries = [...tensors.values()].map(({ name, dtype, shape, bytes: data }) => ({ name, dtype, shape, data }));
  writeFileSync(file, writeSafetensors(change(entries)));
  expect(await refusal('--recipe', changed)).toContain(message);
});

function replacing(name: string, data: TensorToWrite['data']) {
  return (tensors: TensorToWrite[]) => tensors.map((tensor) => (tensor.name === name ? { ...tensor, data } : tensor));
}

test('quantized weights that are cut short are refused', async () => {
  const cut = copy('cut');
  const file = join(cut, 'weights.safetensors');
  writeFileSync(file, readFileSync(file).subarray(0, -1));
  expect(await refusal('--recipe', cut)).toContain(file);
});
