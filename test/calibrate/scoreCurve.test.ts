import { beforeAll, expect, test } from 'vitest';
import { CalibrationError } from '../../src/calibrate/errors.ts';
import { gradientSeed } from '../../src/calibrate/gradientSeed.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { METRICS } from '../../src/calibrate/options.ts';
import { scoreCurve } from '../../src/calibrate/scoreCurve.ts';
import type { Model } from '../../src/model/load.ts';
import { cosineSimilarity, pearsonCorrelation } from '../../src/reference/scoreCosine.ts';
import { elementScore } from '../../src/reference/scoreElementwise.ts';
import { nmse, useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();
let model: Model;
let images: CalibrationImage[];
beforeAll(async () => {
  model = await sampleModel();
  images = await sampleImages(model, 'calib', 2);
});

const curve = (layer: string, operand: 'a' | 'b', bits: number, candidates: number) =>
  scoreCurve(shared.gpu, model, images, { layer, operand, bits, candidates, seed: 2 });

test.each(['a', 'b'] as const)(
  'the scores of the head, operand %s, are those of the logits that it leads to',
  async (operand) => {
    const { points, scores, logits, floatLogits } = await curve('head', operand, 5, 3);
    const { numClasses } = model.network;
    const rows = images.map((_, i) => i);
    const row = (all: Float32Array, i: number) => all.subarray(i * numClasses, (i + 1) * numClasses);
    const gradients = images.flatMap(({ sha256, file }, i) => [
      ...gradientSeed('fisher', row(floatLogits, i), { seed: 2, imageSha256: sha256, file }),
    ]);
    const squares = gradients.reduce((sum, g) => sum + g * g, 0) / gradients.length;
    expect(points.map(({ factor }) => factor)).toEqual([0.4, 0.8, 1.2].map((f) => expect.closeTo(f, 12) as number));
    expect(logits).toHaveLength(3);
    for (const [p, quantized] of logits.entries()) {
      expect(nmse(quantized, floatLogits)).toBeGreaterThan(1e-6);
      for (const metric of METRICS) {
        let expected: number;
        if (metric === 'cosine' || metric === 'pearson') {
          const similarity = metric === 'cosine' ? cosineSimilarity : pearsonCorrelation;
          expected =
            rows.reduce((sum, i) => sum + 1 - similarity(row(floatLogits, i), row(quantized, i)), 0) / rows.length;
        } else {
          const terms = [...floatLogits].map((y, i) =>
            elementScore(metric, y, y - (quantized[i] as number), gradients[i] as number),
          );
          expected = terms.reduce((sum, term) => sum + term, 0) / terms.length / (metric === 'hessian' ? squares : 1);
        }
        expect(scores[metric][p], `${metric} of candidate ${p}`).toBeCloseTo(expected, 4);
        expect((scores[metric][p] as number) / expected, `${metric} of candidate ${p}`).toBeCloseTo(1, 2);
      }
    }
  },
);

test('the rest of the network runs again: 8 bits hardly move the logits, a scale far too small does', async () => {
  const { points, logits, floatLogits, scores } = await curve('blocks.0.mlp.fc2', 'a', 8, 6);
  expect(points.map(({ a }) => a.type)).toEqual(points.map(() => 'twin-gelu'));
  const errors = logits.map((quantized) => nmse(quantized, floatLogits));
  expect(errors[4]).toBeLessThan(1e-3); // factor 1
  expect(errors[4]).toBeGreaterThan(0);
  expect(errors[0]).toBeGreaterThan(3 * (errors[4] as number)); // factor 0.2 clips
  expect(scores.mse[0]).toBeGreaterThan(3 * (scores.mse[4] as number));
});

test('twin ranges after softmax have a candidate a shift; the pixels of the first layer stay exact', async () => {
  const softmax = await curve('blocks.0.attn.pv', 'a', 6, 50);
  const shifts = softmax.points.map(({ a }) => (a.type === 'twin-softmax' ? a.shift : -1));
  expect(shifts).toEqual(shifts.map((_, i) => i));
  expect(shifts.length).toBeGreaterThan(5);
  const pixels = await curve('patch_embed', 'b', 8, 5);
  expect(nmse(pixels.logits[4] as Float32Array, pixels.floatLogits)).toBeLessThan(1e-2);
  expect(pixels.points[0]?.a.type).toBe('pixels');
});

test('refuses a layer that is not there, and pixels', async () => {
  await expect(curve('blocks.0.mlp.fc9', 'a', 8, 2)).rejects.toThrow(CalibrationError);
  await expect(curve('patch_embed', 'a', 8, 2)).rejects.toThrow('pixels, which are exact');
});
