import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Comparison } from '../../src/evaluate/compare.ts';
import { twinshift } from '../support/command.ts';

let folder: string;

beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'twinshift-sample-'))));
afterAll(() => rmSync(folder, { recursive: true }));

async function quantizeSample(name: string, ...flags: string[]): Promise<string> {
  const out = join(folder, name);
  const words = ['quantize', 'models/sample', '--images', 'models/sample/calib', '--out', out, ...flags];
  const { code, stderr } = await twinshift(words);
  expect(code, stderr).toBe(0);
  return out;
}

async function evaluateSample(recipe: string): Promise<Comparison> {
  const words = ['evaluate', 'models/sample', '--images', 'models/sample/eval', '--recipe', recipe, '--json'];
  const { code, stdout, stderr } = await twinshift(words);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Comparison;
}

test('the embedded sample at 8 bits is as good as its float original', async () => {
  const got = await evaluateSample(await quantizeSample('w8a8'));
  expect(got.images).toBe(readdirSync('models/sample/eval').filter((name) => name.endsWith('.png')).length);
  expect(got.floatTop1).toBeGreaterThan(0.7);
  expect(Math.abs(got.topOneDropPoints as number)).toBeLessThanOrEqual(2);
  expect(got.agreement).toBeGreaterThanOrEqual(0.97);
  expect(got.logitSqnrDb).toBeGreaterThanOrEqual(30);
  expect(got.klDivergence).toBeLessThanOrEqual(0.003);
});

test('two runs at 4 bits write the same bytes, and the loss shows', async () => {
  const bits = ['--weight-bits', '4', '--activation-bits', '4', '--count', '8', '--preset', 'fast'];
  const first = await quantizeSample('first', ...bits);
  const second = await quantizeSample('second', ...bits);
  for (const file of ['recipe.json', 'weights.safetensors']) {
    expect(readFileSync(join(second, file)).equals(readFileSync(join(first, file))), file).toBe(true);
  }
  const got = await evaluateSample(first);
  expect(got.logitSqnrDb).toBeLessThan(20);
  expect(got.logitSqnrDb).toBeGreaterThan(8);
  expect(got.agreement).toBeLessThan(0.97);
});
