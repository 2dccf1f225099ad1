import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { twinshift, type Outcome } from '../support/command.ts';
import { json, NAMES, NO_ADAPTER, refusal, quantizedModel } from '../support/quantizedModel.ts';
import { tinyTensors, writeModel } from '../support/tinyModel.ts';

const { folder, model, images, recipe, file, two } = await quantizedModel();

interface Classified {
  file: string;
  logits: number[];
  logitScale: number;
  top: { label: string; index: number; probability: number }[];
}

function softmax(logits: readonly number[], scale: number): number[] {
  const powers = logits.map((logit) => Math.exp(logit * scale));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

test('classify prints the logits of each image and its most probable classes, the same without an adapter', async () => {
  const report = await json(['classify', file, ...two, '--top', '3']);
  expect(Object.keys(report)).toEqual(['adapter', 'seconds', 'results']);
  expect(report['adapter']).toMatchObject({ software: true });
  expect(report['seconds']).toBeGreaterThan(0);
  const results = report['results'] as Classified[];
  expect(results.map((result) => result.file)).toEqual(two);
  for (const result of results) {
    expect(Object.keys(result)).toEqual(['file', 'logits', 'logitScale', 'top']);
    const { logits, logitScale, top } = result;
    expect(logits).toHaveLength(10);
    expect(logits.every((logit) => Number.isInteger(logit))).toBe(true);
    const probabilities = softmax(logits, logitScale);
    const order = [...probabilities.keys()].sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number));
    expect(top.map((entry) => Object.keys(entry))).toEqual(Array(3).fill(['label', 'index', 'probability']));
    expect(top.map(({ index }) => index)).toEqual(order.slice(0, 3));
    for (const { label, index, probability } of top) {
      expect(label).toBe(NAMES[index]);
      expect(probability).toBeCloseTo(probabilities[index] as number, 12);
    }
  }
  expect(results[0]?.logits).not.toEqual(results[1]?.logits);
  const reference = await json(['classify', file, ...two, '--top', '3', '--adapter', 'none'], NO_ADAPTER);
  expect(reference).toMatchObject({ adapter: null, results });
});

test('classify prints a few classes of each image as text', async () => {
  const { code, stdout, stderr } = await twinshift(['classify', file, ...two, '--adapter', 'none'], {
    env: NO_ADAPTER,
  });
  expect(code, stderr).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(2 * 6 + 2 + 1);
  expect(lines[0]).toBe(two[0]);
  expect(lines[1]).toMatch(/^ {2} ?\d+\.\d % {2}[a-z]{3,4}$/);
  expect(lines.at(-1)).toMatch(/^2 images in .*, no adapter, plain TypeScript$/);
  expect(stderr).toContain('plain TypeScript engine computes on one CPU core: the same integers, but slowly');
});

test('a model file without labels names classes by their index', async () => {
  const unnamed = writeModel(join(folder, 'unnamed'));
  const out = join(folder, 'unnamed-w8');
  await json(['quantize', unnamed, '--images', images, '--count', '8', '--out', out]);
  const args = ['classify', join(out, 'model.twinshift.safetensors'), two[0], '--top', '2'];
  const [result] = (await json(args))['results'] as Classified[];
  expect(result?.top.map(({ label, index }) => label === String(index))).toEqual([true, true]);
  expect((await twinshift(args)).stdout).toMatch(/ % {2}class \d\n/);
});

test('export writes what quantize wrote, and other methods on request', async () => {
  const out = join(folder, 'again.safetensors');
  const report = await json(['export', recipe, '--out', out, '--format', 'twinshift']);
  expect(readFileSync(out).equals(readFileSync(file))).toBe(true);
  const keys = ['recipe', 'model', 'format', 'out', 'bytes', 'floatWeightBytes', 'nonlinear'];
  expect(Object.keys(report)).toEqual(keys);
  const floatWeightBytes = tinyTensors().reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(report).toMatchObject({ recipe, out, bytes: readFileSync(file).byteLength, floatWeightBytes });

  const shift = join(folder, 'shift.safetensors');
  const all = await json(['export', recipe, '--out', shift, '--nonlinear', 'shift']);
  expect(all['nonlinear']).toEqual({ softmax: { shift: 1 }, gelu: { shift: 1 }, norm: { shift: 3 } });
  const choice = 'softmax=poly,norm=shift-fixed,gelu=lut';
  const each = await json(['export', recipe, '--out', shift, '--force', '--nonlinear', choice]);
  expect(each['nonlinear']).toEqual({ softmax: { poly: 1 }, gelu: { lut: 1 }, norm: { 'shift-fixed': 3 } });
  const { stdout } = await twinshift(['export', recipe, '--out', shift, '--force', '--nonlinear=poly']);
  expect(stdout).toMatch(/^written +.*shift\.safetensors\nsize +\d.*\d % of .* as f32\nsoftmax +poly in 1 layer\n/);
});

test('quantize takes the methods too, and has no model file where codes have no product of integers', async () => {
  const common = ['quantize', model, '--images', images, '--count', '8'];
  const poly = join(folder, 'poly');
  await json([...common, '--out', poly, '--nonlinear', 'poly']);
  const exported = join(folder, 'poly.safetensors');
  await json(['export', recipe, '--out', exported, '--nonlinear', 'poly']);
  expect(readFileSync(join(poly, 'model.twinshift.safetensors')).equals(readFileSync(exported))).toBe(true);

  const published = join(folder, 'published');
  const words = [
    ...common,
    '--out',
    published,
    '--preset',
    'reference',
    '--candidates',
    '5',
    '--rounds',
    '1',
    '--json',
  ];
  const { code, stdout, stderr } = await twinshift(words);
  expect(code, stderr).toBe(0);
  const why = 'codes have no product of integers';
  expect(stderr).toMatch(
    new RegExp(`^twinshift: no model.twinshift.safetensors: blocks\\.0\\.attn\\.\\w+: "published-softmax" ${why}`, 'm'),
  );
  expect((JSON.parse(stdout) as { modelFileBytes: unknown }).modelFileBytes).toBeNull();
  expect(readdirSync(published).sort()).toEqual(['recipe.json', 'weights.safetensors']);
  expect(await refusal(['export', published, '--out', join(folder, 'published.safetensors')])).toContain(why);
});

const EVALUATION_KEYS = [
  'images',
  'top1',
  'top5',
  'floatTop1',
  'floatTop5',
  'agreement',
  'topOneDropPoints',
  'klDivergence',
  'logitSqnrDb',
  'simulation',
  'runtime',
  'modelFileBytes',
  'seconds',
  'adapter',
];

/** Labels that the model file itself gives, wrong for the first image. */
async function writeLabels(): Promise<string> {
  const names = readdirSync(images).filter((name) => name.endsWith('.png'));
  const { results } = await json(['classify', file, ...names.map((name) => join(images, name)), '--adapter', 'none']);
  const classes = (results as Classified[]).map(({ top }) => top[0]?.index as number);
  classes[0] = ((classes[0] as number) + 1) % 10;
  const labels = join(folder, 'labels.csv');
  writeFileSync(labels, ['file,label', ...names.map((name, i) => `${name},${classes[i]}`), ''].join('\n'));
  return labels;
}

test('evaluate of a model file with labels alone gives its accuracy, by every runtime', async () => {
  const labels = await writeLabels();
  const common = ['evaluate', file, '--images', images, '--labels', labels];
  const unknown = { floatTop1: null, agreement: null, klDivergence: null, logitSqnrDb: null, simulation: null };
  const integer = await json(common);
  expect(Object.keys(integer)).toEqual(EVALUATION_KEYS);
  expect(integer).toMatchObject({ images: 12, top1: 11 / 12, ...unknown, runtime: 'integer' });
  expect(integer['modelFileBytes']).toBe(readFileSync(file).byteLength);
  const reference = await json([...common, '--runtime', 'reference'], NO_ADAPTER);
  expect(reference).toMatchObject({ images: 12, top1: 11 / 12, ...unknown, runtime: 'reference', adapter: null });
  expect(reference['top5']).toBe(integer['top5']);
  const mixed = await json([...common, '--runtime', 'mixed']);
  expect(mixed).toMatchObject({ images: 12, runtime: 'mixed', adapter: { software: true } });
  expect(mixed['top1']).toBeGreaterThan(0.7);
  const { stdout } = await twinshift([...common, '--runtime', 'reference'], { env: NO_ADAPTER });
  expect(stdout).toMatch(/^12 images, integers only, in plain TypeScript\n/);
  expect(stdout).toMatch(/\ninteger +91\.7 %/);
  expect(stdout).not.toContain('float');
});

test('evaluate compares a model file with its float model and with the simulation of its recipe', async () => {
  const against = ['evaluate', file, '--images', images, '--against', model];
  const float = await json(against);
  expect(Object.keys(float)).toEqual(EVALUATION_KEYS);
  expect(float).toMatchObject({ top1: null, floatTop1: null, topOneDropPoints: null, simulation: null });
  expect(float['agreement']).toBeGreaterThan(0.8);
  expect(float['logitSqnrDb']).toBeGreaterThan(20);
  expect(float['klDivergence']).toBeGreaterThan(0);
  expect(float['klDivergence']).toBeLessThan(0.05);

  const both = await json([...against, '--recipe', recipe, '--runtime', 'mixed', '--labels', await writeLabels()]);
  expect(Object.keys(both['simulation'] as object)).toEqual(['agreement', 'klDivergence', 'logitSqnrDb']);
  const { agreement, logitSqnrDb } = both['simulation'] as Record<string, number>;
  expect(agreement).toBeGreaterThan(0.9);
  expect(logitSqnrDb).toBeGreaterThan(both['logitSqnrDb'] as number); // float nonlinearities are what the recipe simulates
  expect(both['topOneDropPoints']).toBeCloseTo(100 * ((both['floatTop1'] as number) - (both['top1'] as number)), 9);
  const { stdout } = await twinshift([...against, '--recipe', recipe]);
  expect(stdout).toMatch(/^12 images, integers only, against float\nno labels: .*\nagreement +\d+\.\d % of/);
  expect(stdout).toMatch(/\nsimulation +of the recipe: agreement \d+\.\d %, KL .* nats, logit SQNR .* dB\n/);
});

test('bench times batches and layers, the float model beside them', async () => {
  const report = await json(['bench', file, '--batch', '2,1', '--seconds', '1', '--against', model]);
  expect(Object.keys(report)).toEqual([
    ...['model', 'against', 'batches', 'layers', 'layersBatch', 'memory', 'modelFileBytes', 'floatWeightBytes'],
    ...['seconds', 'adapter'],
  ]);
  expect(report).toMatchObject({ model: file, against: model, layersBatch: 2, adapter: { software: true } });
  const batches = report['batches'] as Record<string, Record<string, number>>[];
  expect(batches.map(({ batch }) => batch)).toEqual([2, 1]);
  for (const { batch, integer, float, ratio, ...rest } of batches) {
    expect(rest).toEqual({});
    for (const timing of [integer, float]) {
      expect(Object.keys(timing ?? {})).toEqual(['imagesPerSecond', 'milliseconds', 'runs']);
      const { imagesPerSecond = 0, milliseconds = 0, runs } = timing ?? {};
      expect(runs).toBeGreaterThanOrEqual(3);
      expect(imagesPerSecond * milliseconds).toBeCloseTo(1000 * Number(batch), 6);
    }
    expect(integer?.['runs']).toBe(float?.['runs']);
    expect(Number(ratio) * (float?.['imagesPerSecond'] ?? 0)).toBeCloseTo(integer?.['imagesPerSecond'] ?? 0, 6);
  }
  const layers = report['layers'] as { name: string; kind: string; milliseconds: number }[];
  expect(layers.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['blocks.0.attn.qkv', 'blocks.0.mlp.gelu', 'head']),
  );
  expect(layers.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
  expect(layers.some(({ milliseconds }) => milliseconds > 0)).toBe(true);
  expect(Object.keys(report['memory'] as object)).toEqual(['weightBytes', 'activationBytes', 'floatBytes']);

  const alone = await json(['bench', file, '--batch', '1', '--seconds', '1']);
  expect(alone).toMatchObject({
    against: null,
    floatWeightBytes: null,
    batches: [{ batch: 1, float: null, ratio: null }],
  });
  const { stdout, stderr } = await twinshift(['bench', file, '--batch', '1', '--seconds', '1', '--against', model]);
  expect(stdout).toMatch(/\nbatch +integer +a batch +float +a batch +ratio\n +1 +[\d.]+ images\/s .* x\n/);
  expect(stdout).toMatch(/\ndevice memory .* weights, .* activations\n/);
  expect(stdout).toMatch(/\nblocks\.\*\.attn\.softmax +1 +\d/);
  expect(stderr).toContain('timing batch 1\n');
});

test('Ctrl-C ends long work with 130 and leaves nothing', async () => {
  const many = Array.from({ length: 3000 }, () => two[0]);
  const place = join(folder, 'quiet');
  mkdirSync(place);
  const interrupted = (args: string[], stage: string): Promise<Outcome> => {
    let sent = false;
    return twinshift(args, {
      cwd: place,
      onStderr(text, child) {
        if (!sent && text.includes(stage)) sent = child.kill('SIGINT');
      },
    });
  };
  for (const [args, stage] of [
    [['bench', file, '--batch', '1', '--seconds', '600'], 'timing batch 1'],
    [['classify', file, ...many, '--adapter', 'none'], 'classifying'],
    [['classify', file, ...many], 'reading images'],
  ] as const) {
    const { code, stdout, stderr } = await interrupted([...args], stage);
    expect({ code, stdout }, stderr).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/\ntwinshift: interrupted\n$/);
  }
  expect(readdirSync(place)).toEqual([]);
});
