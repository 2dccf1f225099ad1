import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { twinshift } from '../support/command.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let plain: string;
let reported: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-report-'));
  const model = writeModel(join(folder, 'model'));
  const images = await writeImages(join(folder, 'images'), 4);
  [plain, reported] = [join(folder, 'plain'), join(folder, 'with <b>figures')];
  const words = ['quantize', model, '--images', images, '--count', '4', '--preset', 'fast'];
  for (const more of [
    ['--out', plain, '--weight-bits', '4'],
    ['--out', `${reported}/`, '--report'],
  ]) {
    const { code, stderr } = await twinshift([...words, ...more]);
    expect(code, stderr).toBe(0);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly version: number;
  readonly layerReports: readonly { readonly name: string; readonly sqnrDb: number }[];
}
const runOf = (recipe: string) => JSON.parse(readFileSync(`${recipe}.run.json`, 'utf8')) as Run;
const layersOf = (recipe: string) =>
  (JSON.parse(readFileSync(join(recipe, 'recipe.json'), 'utf8')) as { layers: { name: string }[] }).layers;
const dataOf = (file: string) =>
  JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(readFileSync(file, 'utf8'))?.[1] ?? '',
  ) as { recipe: { label: string; layers: { report: object | null }[] }; evaluation: object | null };

test('quantize --report measures every layer and draws them beside the folder; without it there is neither', () => {
  expect(runOf(plain)).toMatchObject({ version: 2, layerReports: [] });
  expect(existsSync(`${plain}.report.html`)).toBe(false);
  const { layerReports } = runOf(reported);
  expect(layerReports.map(({ name }) => name)).toEqual(layersOf(reported).map(({ name }) => name));
  for (const { sqnrDb, name } of layerReports) expect(sqnrDb, name).toBeGreaterThan(10);
  const { recipe } = dataOf(`${reported}.report.html`);
  expect(recipe.label).toBe('with <b>figures');
  expect(recipe.layers.map(({ report }) => report)).toEqual(layerReports);
  expect(readdirSync(reported).sort()).toEqual(['model.twinshift.safetensors', 'recipe.json', 'weights.safetensors']);
});

test('report draws a recipe with another run and an evaluation, or without a run; a file is there whole or not at all', async () => {
  const out = join(folder, 'report.html');
  const evaluation = join(folder, 'evaluation.json');
  writeFileSync(evaluation, '{"images":10,"top1":0.5,"floatTop1":0.6}');
  const older = join(folder, 'older.json');
  writeFileSync(older, JSON.stringify({ ...runOf(plain), version: 1, layerReports: undefined }));
  const words = ['report', reported, '--out', out, '--run', older, '--evaluation', evaluation];
  const { code, stdout, stderr } = await twinshift([...words, '--json']);
  expect(code, stderr).toBe(0);
  const bytes = readFileSync(out).byteLength;
  const layers = layersOf(reported).length;
  expect(JSON.parse(stdout)).toEqual({ recipe: reported, out, bytes, layers, reportedLayers: 0 });
  expect(bytes).toBeLessThan(3_000_000);
  expect(dataOf(out).evaluation).toMatchObject({ images: 10, top1: 0.5, top5: null });

  const again = await twinshift(words);
  expect(again).toMatchObject({ code: 2, stdout: '' });
  expect(again.stderr).toContain('--force');
  expect((await twinshift(['report', reported, '--out', out, '--force'])).stdout).toMatch(
    new RegExp(`: \\d+\\.\\d kB, ${layers} layers, ${layers} of them with figures\n$`),
  );

  const broken = join(folder, 'broken.json');
  writeFileSync(broken, JSON.stringify({ ...runOf(plain), seconds: 'many' }));
  const images = join(folder, 'images.json');
  writeFileSync(images, '{}');
  const fresh = join(folder, 'fresh.html');
  for (const [refused, message] of [
    [['--run', broken], 'seconds is "many"'],
    [['--run', join(folder, 'none.json')], 'none.json'],
    [['--evaluation', images], 'images.json: images is missing'],
  ] as const) {
    const failed = await twinshift(['report', plain, '--out', fresh, ...refused]);
    expect(failed, message).toMatchObject({ code: 2, stdout: '' });
    expect(failed.stderr).toContain(message);
  }
  expect((await twinshift(['report', join(folder, 'images'), '--out', fresh])).code).toBe(2);
  expect((await twinshift(['report', plain, '--out', `${plain}.run.json`, '--force'])).code).toBe(2);
  expect(existsSync(fresh)).toBe(false);
});

test('diff tells what differs, as text, as JSON and as a page', async () => {
  const out = join(folder, 'diff.html');
  const text = await twinshift(['diff', reported, plain, '--out', out]);
  expect(text.code, text.stderr).toBe(0);
  expect(text.stdout).toMatch(
    /^2 options and \d+ of \d+ layers differ\n +weightBits +8 +4\n +foldingStrength +1 +0\.3\n/,
  );
  expect(readFileSync(out, 'utf8')).toContain('with \\u003cb\\u003efigures');
  const { stdout } = await twinshift(['diff', reported, plain, '--json']);
  const found = JSON.parse(stdout) as {
    layers: { name: string; scoreRatio: number; second: { b: { quantizer: { bits: number } } } }[];
  };
  expect(found).toMatchObject({ format: 'twinshift-diff', sameWeights: true });
  const fc1 = found.layers.find(({ name }) => name === 'blocks.0.mlp.fc1');
  expect(fc1?.scoreRatio).toBeGreaterThan(2);
  expect(fc1?.second.b.quantizer.bits).toBe(4);
  const same = await twinshift(['diff', plain, plain]);
  expect(same.stdout).toMatch(/^0 options and 0 of \d+ layers differ\n$/);
  expect((await twinshift(['diff', plain])).code).toBe(2);
  expect((await twinshift(['diff', plain, join(folder, 'none')])).code).toBe(2);
});
