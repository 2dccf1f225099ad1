import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LayerCurve } from '../../src/calibrate/layerCurve.ts';
import { twinshift } from '../support/command.ts';
import { writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'twinshift-curve-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const MEASURES = [
  'hessian',
  'mse',
  'cosine',
  'pearson',
  'l1',
  'linear-weighted-mse',
  'square-weighted-mse',
  'klDivergence',
  'crossEntropy',
] as const;

test('the curves of a layer of the sample: a value a candidate, the lowest named', async () => {
  const words = ['curve', 'models/sample', '--layer', 'blocks.0.mlp.fc1', '--images', 'models/sample/calib', '--json'];
  const { code, stdout, stderr } = await twinshift([...words, '--candidates', '4', '--count', '2', '--bits', '4']);
  expect(code, stderr).toBe(0);
  const got = JSON.parse(stdout) as LayerCurve & Record<string, unknown>;
  expect(got).toMatchObject({
    format: 'twinshift-curve',
    version: 1,
    model: 'models/sample',
    layer: 'blocks.0.mlp.fc1',
    operand: 'a',
    bits: 4,
    seed: 0,
    quantizer: 'uniform',
    images: 2,
    crossEntropyAgainst: 'labels',
    adapter: { software: true },
  });
  expect(got.candidates.map(({ factor }) => factor)).toEqual(
    [0.3, 0.6, 0.9, 1.2].map((f) => expect.closeTo(f, 9) as number),
  );
  const [first, , , last] = got.candidates.map(({ scale }) => scale as number) as [number, number, number, number];
  expect(last / first).toBeCloseTo(4, 5);
  expect(got.scales).toEqual([expect.closeTo(last / 1.2, 6)]);
  expect(Object.keys(got.curves)).toEqual([...MEASURES]);
  for (const name of MEASURES) {
    const values = got.curves[name];
    expect(values, name).toHaveLength(4);
    for (const value of values) expect(value, name).toBeGreaterThan(0);
    expect(values[got.minima[name]], name).toBe(Math.min(...values));
  }
});

test('the text marks one minimum a column; labels and the right operand', async () => {
  const model = writeModel(join(folder, 'model'));
  const images = await writeImages(join(folder, 'images'), 3);
  const words = ['curve', model, '--images', images, '--count', '3', '--candidates', '2', '--operand', 'b'];
  const { code, stdout, stderr } = await twinshift([...words, '--layer', 'blocks.0.attn.qk']);
  expect(code, stderr).toBe(0);
  const [title, header, ...rows] = stdout.trimEnd().split('\n') as [string, string, ...string[]];
  expect(title).toBe(
    'blocks.0.attn.qk, operand b at 6 bits (uniform), 3 images, CE against the first class of the float model',
  );
  expect(header.trim().split(/\s+/)).toEqual([
    'scale',
    'hessian',
    'mse',
    'l1',
    'linear',
    'square',
    'cosine',
    'pearson',
    'KL',
    'CE',
  ]);
  expect(rows.map((row) => row.split(' ')[0])).toEqual(['0.600', '1.200']);
  expect(rows.join('').match(/\*/g)).toHaveLength(9);
});

test('after softmax candidates are shifts, and scales with --uniform', async () => {
  const model = writeModel(join(folder, 'shaped'));
  const images = await writeImages(join(folder, 'photo'), 1);
  const words = ['curve', model, '--images', images, '--count', '1', '--candidates', '2', '--json'];
  const run = async (...more: string[]) => {
    const { code, stdout, stderr } = await twinshift([...words, '--layer', 'blocks.0.attn.pv', ...more]);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout) as LayerCurve & { uniform: boolean };
  };
  const twin = await run();
  expect(twin).toMatchObject({ quantizer: 'twin-softmax', uniform: false, scales: [] });
  expect(twin.candidates.map(({ factor, shift }) => [factor, shift])).toEqual(twin.candidates.map((_, i) => [null, i]));
  const uniform = await run('--uniform');
  expect(uniform).toMatchObject({ quantizer: 'uniform', uniform: true });
  expect(uniform.candidates.map(({ factor }) => factor)).toEqual([0.6, 1.2]);
  expect(uniform.scales.length).toBeGreaterThan(0);
});

test.each([
  ['blocks.0.mlp.fc3', 'a', 'the model has no layer "blocks.0.mlp.fc3"; did you mean blocks.0.mlp.fc1?'],
  ['nothing like it', 'a', 'the model has no layer "nothing like it"; inspect lists its layers'],
  ['patch_embed', 'a', 'patch_embed: its operand a is pixels, which are exact; give --operand b'],
])('layer %s is refused', async (layer, operand, message) => {
  const words = ['curve', 'models/sample', '--layer', layer, '--operand', operand, '--images', 'models/sample/calib'];
  const { code, stdout, stderr } = await twinshift([...words, '--count', '1']);
  expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});
