import { beforeAll, expect, test } from 'vitest';
import { CalibrationError } from '../../src/calibrate/errors.ts';
import { gradientSeed } from '../../src/calibrate/gradientSeed.ts';
import { chunksOf, type CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { logitGradients, perturbationGradients, type SeedOptions } from '../../src/calibrate/logitGradients.ts';
import { forwardUnits, visitUnit, type Walk } from '../../src/calibrate/sweep.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { ParameterStore } from '../../src/model/execute.ts';
import type { Model } from '../../src/model/load.ts';
import { useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
let model: Model;
let images: CalibrationImage[];
let walk: Walk;
let inputs: Float32Array[][];
let logits: Float32Array[];
beforeAll(async () => {
  model = await sampleModel();
  images = (await sampleImages(model, 'calib', 3)).map((image, label) => ({ ...image, label }));
  const { device, pool } = shared;
  const context = { device, pool, parameters: new ParameterStore(pool, model) };
  walk = { context, model, chunks: chunksOf(images, 2) };
  inputs = await forwardUnits(walk, () => Promise.resolve());
  logits = inputs.pop() as Float32Array[];
});

const options = (change: Partial<SeedOptions>): SeedOptions => ({
  gradientSeed: 'fisher',
  gradientDraws: 1,
  seed: 3,
  ...change,
});

test('a chunk holds the draws one after the other, each image by its own key', () => {
  const [first, second] = logitGradients(walk.chunks, logits, options({ gradientDraws: 3 })) as [
    Float32Array,
    Float32Array,
  ];
  const { numClasses } = model.network;
  expect([first.length, second.length]).toEqual([3 * 2 * numClasses, 3 * numClasses]);
  const { file, sha256: imageSha256 } = images[1] as CalibrationImage;
  const own = (logits[0] as Float32Array).subarray(numClasses);
  const expected = gradientSeed('fisher', own, { seed: 3, draw: 2, imageSha256, file });
  expect(first.slice(5 * numClasses)).toEqual(expected);
});

test('seeds that are not drawn have one draw; label takes the label of the image, or names the one without', () => {
  const { numClasses } = model.network;
  const [, labelled] = logitGradients(walk.chunks, logits, options({ gradientSeed: 'label', gradientDraws: 4 }));
  expect(labelled).toHaveLength(numClasses);
  expect(labelled?.findIndex((value) => value < 0)).toBe(2);
  const unlabelled = [[{ ...(images[0] as CalibrationImage), label: undefined }]] as never;
  const seed = () => logitGradients(unlabelled, logits, options({ gradientSeed: 'label' }));
  expect(seed).toThrow(CalibrationError);
  expect(seed).toThrow(`${images[0]?.file} has no label`);
});

test('two draws walk the units as each of them would alone', async () => {
  const { units } = model.network;
  const [head, block] = [units.length - 1, units.length - 2];
  const nothing = () => undefined;
  const walked = async (seeds: readonly Float32Array[]) => {
    const handed = await visitUnit(walk, units[head]!, inputs[head]!, seeds, nothing, () => Promise.resolve());
    let squares: Float32Array | undefined;
    const last = await visitUnit(walk, units[block]!, inputs[block]!, handed, nothing, async (captures) => {
      const { gradient } = captures[1]!.layers.get('blocks.' + units[block]!.name.split('.')[1] + '.mlp.fc1')!;
      squares = (await readF32(shared.device, gradient, gradient.size / 4)).map((g) => g * g);
    });
    return { last: last as Float32Array[], squares: squares as Float32Array };
  };
  const both = logitGradients(walk.chunks, logits, options({ gradientDraws: 2 }));
  const half = (draw: number) => both.map((all) => all.slice((draw * all.length) / 2, ((draw + 1) * all.length) / 2));
  const [together, first, second] = [await walked(both), await walked(half(0)), await walked(half(1))];
  for (const [c, gradients] of together.last.entries()) {
    expect(gradients).toEqual(Float32Array.from([...first.last[c]!, ...second.last[c]!]));
  }
  const largest = Math.max(...together.squares);
  expect(largest).toBeGreaterThan(0);
  together.squares.forEach((square, i) => {
    expect(Math.abs(square - (first.squares[i]! + second.squares[i]!) / 2)).toBeLessThan(1e-6 * largest);
  });
});

test('perturbation: one weight for all images in every layer, none of them zero throughout', async () => {
  const { units } = model.network;
  const seeding = options({ gradientSeed: 'perturbation' });
  for (const index of [units.length - 1, units.length - 2]) {
    const unit = units[index]!;
    const gradients = await perturbationGradients(walk, index, inputs, logits, seeding);
    expect(gradients.map(({ length }) => length)).toEqual(
      [2, 1].map((n) => n * (unit.elements[unit.output] as number)),
    );
    const nothing = () => undefined;
    const visit: Parameters<typeof visitUnit>[5] = async ([two, one]) => {
      for (const [name, { gradient }] of one!.layers) {
        const weights = await readF32(shared.device, gradient, gradient.size / 4);
        const count = two!.layers.get(name)!.gradient.size / 8;
        const others = await readF32(shared.device, two!.layers.get(name)!.gradient, 2 * count);
        expect(others.slice(0, count), name).toEqual(others.slice(count));
        expect(weights.slice(0, count), name).toEqual(others.slice(0, count));
        expect(Math.max(...weights), name).toBeGreaterThan(0);
      }
    };
    await visitUnit(walk, unit, inputs[index]!, gradients, nothing, visit, true);
  }
});
