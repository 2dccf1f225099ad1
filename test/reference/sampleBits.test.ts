import { expect, test } from 'vitest';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { crcOf } from '../support/logitsCrc.ts';
import { SAMPLE_CRC, SAMPLE_IMAGES, sampleIntegers, SWIN_CRC, SWIN_IMAGES } from '../support/sampleIntegers.ts';

test('the sample gives the committed logits without a GPU', async () => {
  const { bytes, pixels } = await sampleIntegers();
  expect(crcOf(await createReferenceEngine(bytes).run(pixels, SAMPLE_IMAGES))).toBe(SAMPLE_CRC);
});

test('and so does the Swin sample', async () => {
  const { bytes, pixels } = await sampleIntegers('sample-swin');
  expect(crcOf(await createReferenceEngine(bytes).run(pixels, SWIN_IMAGES))).toBe(SWIN_CRC);
});
