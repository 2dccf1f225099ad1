import { expect, test } from 'vitest';
import type { IntegerModel } from '../../src/format/model.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { runInChromium } from '../support/browserSession.ts';
import { random } from '../support/codes.ts';
import { crcOf } from '../support/logitsCrc.ts';
import { SAMPLE_CRC, SAMPLE_IMAGES, sampleIntegers } from '../support/sampleIntegers.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

const pixelsOf = ({ preprocessing: { width, height } }: IntegerModel, batch: number): Uint8Array => {
  const next = random(17);
  return Uint8Array.from({ length: batch * width * height * 3 }, () => Math.floor(256 * next()));
};

test.each([
  ['tables', tinyIntegerModel(21)],
  ['shifts as published', tinyIntegerModel(22, { softmax: 'shift', gelu: 'shift', norm: 'published' })],
  ['odd sizes', tinyIntegerModel(23, { imageSize: 15, patchSize: 5, hiddenDim: 31, numClasses: 7, gelu: 'lut-codes' })],
])('a page of headless Chromium gives the integers of the reference engine: %s', async (_name, model) => {
  const bytes = writeModelFile(model);
  const pixels = pixelsOf(model, 3);
  const expected = await createReferenceEngine(bytes).run(pixels, 3);
  expect(new Set(expected).size).toBeGreaterThan(3);
  expect(await runInChromium(bytes, pixels, 3)).toEqual(expected);
});

test('a page of headless Chromium gives the committed logits of the sample', async () => {
  const { bytes, pixels } = await sampleIntegers();
  expect(crcOf(await runInChromium(bytes, pixels, SAMPLE_IMAGES))).toBe(SAMPLE_CRC);
});
