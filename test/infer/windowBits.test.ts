import { expect, test } from 'vitest';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { createSession } from '../../src/infer/session.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { useGpu } from '../support/device.ts';
import { bitsOn } from '../support/expectBits.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';

const shared = useGpu();
const expectBits = bitsOn(shared);

const NETWORKS: [string, ModelConfig][] = [
  ['a Swin of padded and shifted windows', PADDED_SWIN],
  ['a pooled ViT with normalised queries and keys', POOLED_VIT],
];

test.each(NETWORKS)('every word between the pixels and the logits of %s', async (_name, config) => {
  const { integer, pixels, count } = await exportedNetwork(config);
  await expectBits(integer, pixels, count);
});

test.each(NETWORKS)('float nonlinearities of %s give logits close to the integers', async (_name, config) => {
  const { integer, pixels, count } = await exportedNetwork(config);
  const logits = await referenceEngine(integer).run(pixels, count);
  const options = { runtime: 'mixed', tiles: 'plain' } as const;
  const session = await createSession(shared.device, writeModelFile(integer), options);
  const mixed = await session.run(pixels, count);
  session.destroy();
  const power = logits.reduce((sum, value) => sum + value ** 2, 0);
  const error = logits.reduce((sum, value, i) => sum + (value - (mixed[i] as number)) ** 2, 0);
  expect(10 * Math.log10(power / error)).toBeGreaterThan(25);
});
