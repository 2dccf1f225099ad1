import { expect, test } from 'vitest';
import { createSession } from '../../src/infer/session.ts';
import { describeVariant, matmulVariants } from '../../src/kernels/matmulVariant.ts';
import { useGpu } from '../support/device.ts';
import { crcOf } from '../support/logitsCrc.ts';
import { SAMPLE_CRC, SAMPLE_IMAGES, sampleIntegers, SWIN_CRC, SWIN_IMAGES } from '../support/sampleIntegers.ts';

const shared = useGpu();

test.each([
  ['measured tiles', {}],
  ['plain tiles', { tiles: 'plain' }],
  ['one image at a time', { maxBatch: 1 }],
] as const)('the sample gives the committed logits: %s', async (_name, options) => {
  const { bytes, pixels } = await sampleIntegers();
  const session = await createSession(shared.device, bytes, options);
  expect(crcOf(await session.run(pixels, SAMPLE_IMAGES))).toBe(SAMPLE_CRC);
  session.destroy();
});

test('the sample gives the committed logits with every tile', async () => {
  const { bytes, pixels } = await sampleIntegers();
  for (const variant of matmulVariants(shared.device)) {
    const session = await createSession(shared.device, bytes, { tiles: { variantFor: () => variant } });
    expect(crcOf(await session.run(pixels, SAMPLE_IMAGES)), describeVariant(variant)).toBe(SAMPLE_CRC);
    session.destroy();
  }
});

test('the Swin sample gives the committed logits', async () => {
  const { bytes, pixels } = await sampleIntegers('sample-swin');
  const session = await createSession(shared.device, bytes, { tiles: 'plain' });
  expect(crcOf(await session.run(pixels, SWIN_IMAGES))).toBe(SWIN_CRC);
  session.destroy();
});
