import { expect, test } from 'vitest';
import { inLayout, randomTensors } from '../../bench/support/checkpointLayouts.ts';
import { checkpointKey } from '../../src/calibrate/checkpoint.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { loadModel } from '../../src/model/load.ts';
import { tinyVit } from '../support/checkpoints.ts';

const files = inLayout(tinyVit(), randomTensors(tinyVit(), 7), 'Hugging Face');
const configJson = JSON.stringify(files.config);
const weights = writeSafetensors([...files.tensors]);
const adapter = { vendor: 'v', architecture: 'a', description: 'd', software: true };

/** The key of a run over the same weights, `config.json`, images and options. */
async function keyOf(processor: unknown): Promise<string> {
  const model = await loadModel({ configJson, preprocessorJson: JSON.stringify(processor), weights });
  return checkpointKey(model, [{ sha256: '1'.repeat(64) }], calibrationOptions('default'), adapter);
}

test.each([
  { resample: 2 },
  { image_mean: [0.5, 0.5, 0.5] },
  { image_std: [0.5, 0.5, 0.5] },
  { rescale_factor: 1 / 127.5 },
])('a run is another one when preprocessor_config.json says %j', async (changes) => {
  const before = await keyOf(files.processor);
  expect(before).toMatch(/^[0-9a-f]{64}$/);
  expect(await keyOf({ ...(files.processor as object), ...changes })).not.toBe(before);
});

test('a run is the same one when preprocessor_config.json only writes the same otherwise', async () => {
  const reversed = Object.fromEntries(Object.entries(files.processor as object).reverse());
  expect(await keyOf({ ...reversed, feature_extractor_type: 'ViTFeatureExtractor' })).toBe(
    await keyOf(files.processor),
  );
});
