import { expect, test } from 'vitest';
import { captureUnit, type UnitCapture } from '../../src/calibrate/captureUnit.ts';
import { randomSigns } from '../../src/calibrate/gradientSeed.ts';
import { averagePerturbation, perturbationGradient } from '../../src/calibrate/perturbation.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { forwardUnit, ParameterStore, type ExecutionContext } from '../../src/model/execute.ts';
import { isSearched, type Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { useGpu } from '../support/device.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { noise } from '../support/floats.ts';
import { tinyModel } from '../support/goldenModel.ts';

const shared = useGpu();
const IMAGES = 3;
const KEYS = Array.from({ length: IMAGES }, (_, i) => ({ seed: 4, imageSha256: `${i}5`.repeat(32) }));

/** Inputs of every unit of a chunk of images, and the logits. */
async function forward(context: ExecutionContext, model: Model, images: number, seed = 1): Promise<Float32Array[]> {
  const [embed] = model.network.units;
  const inputs = [noise(images * (embed!.elements[embed!.input] as number), seed)];
  for (const unit of model.network.units) {
    const scope = context.pool.scope();
    const input = scope.upload(inputs.at(-1) as Float32Array, 'input');
    const tensors = await forwardUnit(context, unit, input, images, scope);
    const count = images * (unit.elements[unit.output] as number);
    inputs.push(await readF32(context.device, tensors.get(unit.output) as GPUBuffer, count));
    scope.release();
  }
  return inputs;
}

function openContext(model: Model): ExecutionContext {
  return { device: shared.device, pool: shared.pool, parameters: new ParameterStore(shared.pool, model) };
}

test.each(['vit-plain', 'vit-distilled'] as const)(
  '%s: the Hessian of the KL divergence along random signs',
  async (name) => {
    const { model } = await tinyModel(name);
    const context = openContext(model);
    const { units } = model.network;
    const index = units.length - 3;
    const inputs = await forward(context, model, IMAGES);
    const logits = inputs.at(-1) as Float32Array;
    const got = await perturbationGradient(context, units.slice(index + 1), inputs.slice(index + 1, -1), logits, KEYS);
    const unit = units[index] as Unit;
    const elements = unit.elements[unit.output] as number;
    expect(got).toHaveLength(IMAGES * elements);
    const patches = (inputs[0] as Float32Array).subarray(-(inputs[0] as Float32Array).length / IMAGES);
    const own = got.subarray(-elements);
    const signs = randomSigns(elements, KEYS[IMAGES - 1]!);
    const target = softmaxOf(doubleForward(model, patches));
    /** KL(p || p of the output moved) in double. */
    const divergence = (element: number, alone: number, all: number) => {
      const delta = Float64Array.from(signs, (sign) => sign * all);
      delta[element] = (delta[element] as number) + alone;
      const moved = softmaxOf(doubleForward(model, patches, { unit: unit.name, tensor: unit.output, delta }));
      return target.reduce((sum, p, i) => sum + p * Math.log(p / (moved[i] as number)), 0);
    };
    const h = 1e-3;
    const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeGreaterThan(1e-5);
    for (let element = 0; element < elements; element += Math.max(1, Math.floor(elements / 23))) {
      const mixed =
        divergence(element, h, h) -
        divergence(element, h, -h) -
        divergence(element, -h, h) +
        divergence(element, -h, -h);
      expect(Math.abs((own[element] as number) - mixed / (4 * h * h)), `element ${element}`).toBeLessThan(
        0.01 * largest,
      );
    }
    context.parameters[Symbol.dispose]();
  },
);

function softmaxOf(z: Float64Array): Float64Array {
  const largest = Math.max(...z);
  const e = z.map((value) => Math.exp(value - largest));
  const sum = e.reduce((total, value) => total + value, 0);
  return e.map((value) => value / sum);
}

/** Captures of the second unit for chunks of the given sizes, from one seed an image and draw. */
async function capture(context: ExecutionContext, model: Model, chunks: readonly number[], draws = 1) {
  const unit = model.network.units[1] as Unit;
  const images = chunks.reduce((sum, count) => sum + count, 0);
  const inputs = (await forward(context, model, images))[1] as Float32Array;
  const elements = unit.elements[unit.output] as number;
  const seeds = Array.from({ length: draws }, (_, draw) => noise(images * elements, 7 + draw));
  const scope = context.pool.scope();
  const captures: UnitCapture[] = [];
  let first = 0;
  for (const count of chunks) {
    const part = (all: Float32Array) =>
      all.subarray((first * all.length) / images, ((first + count) * all.length) / images);
    const outputGradient = Float32Array.from(seeds.flatMap((seed) => [...part(seed)]));
    const chunk = { images: count, input: part(inputs), outputGradient, pixelCodes: undefined };
    captures.push(await captureUnit(context, unit, chunk, scope));
    first += count;
  }
  return { unit, captures, scope };
}

const read = (buffer: GPUBuffer, count: number) => readF32(shared.device, buffer, count);

test('weights are the roots of the mean magnitudes over all images, the same for all, whatever the chunks', async () => {
  const { model } = await tinyModel('vit-plain');
  const context = openContext(model);
  const whole = await capture(context, model, [IMAGES]);
  const split = await capture(context, model, [2, 1]);
  const [one] = await averagePerturbation(context, whole.unit, whole.captures, whole.scope);
  const two = await averagePerturbation(context, split.unit, split.captures, split.scope);
  for (const operation of whole.unit.operations.filter(isSearched)) {
    const { name } = operation;
    const output = operation.kind === 'linear' ? operation.output : operation.output.tensor;
    const count = whole.unit.elements[output] as number;
    const h = await read(whole.captures[0]!.layers.get(name)!.gradient, IMAGES * count);
    const got = await read(one!.layers.get(name)!.gradient, IMAGES * count);
    for (let i = 0; i < count; i++) {
      const magnitudes = [0, 1, 2].map((image) => Math.abs(h[image * count + i] as number));
      const mean = magnitudes.reduce((sum, value) => sum + value, 0) / IMAGES;
      expect((got[i] as number) ** 2).toBeCloseTo(mean, 5);
      expect([got[count + i], got[2 * count + i]]).toEqual([got[i], got[i]]);
    }
    expect(await read(two[0]!.layers.get(name)!.gradient, 2 * count)).toEqual(got.slice(0, 2 * count));
    expect(await read(two[1]!.layers.get(name)!.gradient, count)).toEqual(got.slice(0, count));
  }
  expect(one!.inputGradient).toBe(whole.captures[0]!.inputGradient);
  whole.scope.release();
  split.scope.release();
  context.parameters[Symbol.dispose]();
});

test('several draws give the root of their mean square, and the gradient of the input of each', async () => {
  const { model } = await tinyModel('vit-plain');
  const context = openContext(model);
  const both = await capture(context, model, [2], 2);
  const unit = both.unit;
  const elements = unit.elements[unit.output] as number;
  const inputs = (await forward(context, model, 2))[1] as Float32Array;
  const [together] = both.captures as [UnitCapture];
  const inputGradients = await read(together.inputGradient as GPUBuffer, 2 * inputs.length);
  const alone: UnitCapture[] = [];
  for (const draw of [0, 1]) {
    const outputGradient = noise(2 * elements, 7 + draw);
    const chunk = { images: 2, input: inputs, outputGradient, pixelCodes: undefined };
    alone.push(await captureUnit(context, unit, chunk, both.scope));
    const own = await read(alone[draw]!.inputGradient as GPUBuffer, inputs.length);
    expect(inputGradients.slice(draw * inputs.length, (draw + 1) * inputs.length)).toEqual(own);
  }
  for (const [name, { gradient, output }] of together.layers) {
    const count = gradient.size / 4;
    const [got, first, second] = await Promise.all(
      [gradient, alone[0]!.layers.get(name)!.gradient, alone[1]!.layers.get(name)!.gradient].map((b) => read(b, count)),
    );
    expect(output.size).toBe(gradient.size);
    got!.forEach((value, i) => {
      const mean = ((first![i] as number) ** 2 + (second![i] as number) ** 2) / 2;
      expect(Math.abs(value - Math.sqrt(mean)), `${name} ${i}`).toBeLessThanOrEqual(1e-6 * Math.sqrt(mean) + 1e-12);
    });
  }
  both.scope.release();
  context.parameters[Symbol.dispose]();
});
