import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { forwardNetwork, ParameterStore } from '../../src/model/execute.ts';
import { createFloatRunner } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { searchedOutputs } from '../support/doubleForward.ts';
import { patchesOf, sharedModel } from '../support/goldenModel.ts';
import { everything } from '../support/gradients.ts';
import { sampleImages } from '../support/sample.ts';

/** The embedded samples against PyTorch in double: test/golden/sample/README.md tells what the files hold. */
const root = fileURLToPath(new URL('../../', import.meta.url));
const samples = [
  { name: 'sample', layers: 6 * 6 + 2 },
  { name: 'sample-swin', layers: 6 * 5 + 2 + 2 },
];
const shared = useGpu();

interface LayerDifferences {
  readonly name: string;
  readonly shape: readonly number[];
  readonly sum: readonly number[];
  readonly sumOfSquares: readonly number[];
  readonly centralDifferences: readonly number[];
}

async function load(name: string) {
  const folder = `../../test/golden/${name}`;
  const files = ['logits', 'gradients'].map((file) => `${folder}/${file}.safetensors`);
  const sample = await sharedModel(join(root, 'models', name), ...files);
  const text = await readFile(join(root, 'test/golden', name, 'differences.json'), 'utf8');
  const { layers } = JSON.parse(text) as { layers: LayerDifferences[] };
  const parameters = new ParameterStore(shared.pool, sample.model);
  const context = { device: shared.device, pool: shared.pool, parameters };
  const { patches, images } = patchesOf(sample.golden('pixels.calib') as Float32Array, sample.model);
  return { ...sample, layers, context, patches, images };
}

test.each(samples)('$name: logits of two images', async ({ name }) => {
  const { model, golden, context, patches, images } = await load(name);
  const logits = await forwardNetwork(context, model.network, patches, images);
  context.parameters.destroy();
  expect(images).toBe(2);
  expect(nmse(logits, (golden('logits.calib') as Float32Array).subarray(0, logits.length))).toBeLessThanOrEqual(1e-8);
});

test.each(samples)('$name: logits of the calibration images from their files', async ({ name }) => {
  const { model, golden, context } = await load(name);
  context.parameters.destroy();
  const runner = await createFloatRunner(shared.gpu, model);
  const logits = await runner.logits((await sampleImages(model, 'calib', 32)).map(({ rgb }) => rgb));
  runner.destroy();
  expect(nmse(logits, golden('logits.calib') as Float32Array)).toBeLessThanOrEqual(1e-8);
});

test.each(samples)('$name: the gradient of every searched layer', async ({ name: sampleName, layers: count }) => {
  const { model, golden, layers, context, patches, images } = await load(sampleName);
  const seed = golden('seed') as Float32Array;
  const result = await everything(context, model.network, patches, images, seed);
  context.parameters.destroy();
  const places = searchedOutputs(model.network);
  expect(layers.map(({ name }) => name)).toEqual(places.map(({ layer }) => layer));
  let [compared, worst, worstDifference] = [0, 0, 0];
  for (const [index, layer] of layers.entries()) {
    const { unit, tensor } = places[index]!;
    const gradient = headMajor(result.gradient(unit.name, tensor), layer);
    const stored = golden(`grad.${layer.name}`);
    if (stored) {
      const error = nmse(gradient.subarray(0, stored.length), stored);
      expect(error, `gradient of ${layer.name}`).toBeLessThanOrEqual(1e-6);
      worst = Math.max(worst, error);
      compared++;
    }
    const output = golden(`out.${layer.name}`);
    if (output) {
      const actual = headMajor(result.tensor(unit.name, tensor), layer).subarray(0, output.length);
      expect(nmse(actual, output), `output of ${layer.name}`).toBeLessThanOrEqual(1e-8);
    }
    const perImage = gradient.length / images;
    for (let image = 0; image < images; image++) {
      const part = Float64Array.from(gradient.subarray(image * perImage, (image + 1) * perImage));
      const squares = part.reduce((s, g) => s + g * g, 0);
      const sum = part.reduce((s, g) => s + g, 0);
      const expectedSquares = layer.sumOfSquares[image] as number;
      expect(Math.abs(squares / expectedSquares - 1), `squares of ${layer.name}`).toBeLessThan(1e-4);
      const rounding = 1e-4 * Math.sqrt(expectedSquares * perImage);
      expect(Math.abs(sum - (layer.sum[image] as number)), `sum of ${layer.name}`).toBeLessThan(rounding);
    }
    const norm = Math.sqrt(gradient.reduce((s, g) => s + g * g, 0));
    layer.centralDifferences.forEach((expected, draw) => {
      let along = 0;
      gradient.forEach((g, i) => (along += g * direction(i, index, draw)));
      const error = Math.abs(along - expected) / norm;
      expect(error, `central difference ${draw} of ${layer.name}`).toBeLessThan(2e-5);
      worstDifference = Math.max(worstDifference, error);
    });
  }
  expect(layers.length).toBe(count);
  expect(compared).toBeGreaterThan(0);
  console.log(
    `${sampleName}: worst of ${compared} gradients NMSE ${worst.toExponential(1)}, worst of ${3 * layers.length} central differences ${worstDifference.toExponential(1)} of the norm`,
  );
});

/** P.V is stored `[images, heads, tokens, headDim]`; here the heads of a token lie side by side. */
function headMajor(values: Float32Array, { name, shape }: LayerDifferences): Float32Array {
  if (!name.endsWith('.pv')) return values;
  const [, heads, tokens, headDim] = shape as [number, number, number, number];
  return Float32Array.from(values, (_, to) => {
    const d = to % headDim;
    const token = Math.floor(to / headDim) % tokens;
    const head = Math.floor(to / (headDim * tokens)) % heads;
    const image = Math.floor(to / (headDim * tokens * heads));
    return values[((image * tokens + token) * heads + head) * headDim + d] as number;
  });
}

/** Element `i` of direction `draw` of layer number `layer`, in [-1, 1). */
function direction(i: number, layer: number, draw: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + 1000003 * layer + 8191 * draw) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1;
}
