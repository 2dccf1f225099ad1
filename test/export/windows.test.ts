import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import type { ModelConfig, SwinConfig, VitConfig } from '../../src/model/config.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { exportedNetwork, type ExportedModel } from '../support/exportedModel.ts';
import { interpretModelFile } from '../support/formatInterpreter.ts';
import type { Model } from '../../src/model/load.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';

const WHOLE_SWIN: SwinConfig = { ...PADDED_SWIN, imageSize: 24, patchNorm: false, absolutePosition: true };
const POOLED_BEFORE: VitConfig = { ...POOLED_VIT, fcNorm: true, qkNorm: false };

/** Signal to noise of the integer logits against the float network in double, in dB. */
async function quality({ integer, pixels, count, model }: ExportedModel & { readonly model: Model }): Promise<number> {
  const engine = referenceEngine(integer);
  const logits = await engine.run(pixels, count);
  let [noise, signal] = [0, 0];
  for (let image = 0; image < count; image++) {
    const size = pixels.length / count;
    const rgb = pixels.subarray(image * size, (image + 1) * size);
    const patches = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    const exact = doubleForward(model, patches);
    exact.forEach((value, i) => {
      noise += (value - engine.logitScale * (logits[image * exact.length + i] as number)) ** 2;
      signal += value ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}

describe.each<[string, ModelConfig, number]>([
  ['a Swin of padded and shifted windows', PADDED_SWIN, 25],
  ['a Swin of whole windows, with positions', WHOLE_SWIN, 25],
  ['a ViT with normalised queries and keys, pooled behind its norm', POOLED_VIT, 25],
  ['a ViT pooled before its norm', POOLED_BEFORE, 25],
])('%s', (_name, config, least) => {
  test('follows the float network', async () => {
    expect(await quality(await exportedNetwork(config))).toBeGreaterThan(least);
  });

  test('comes back from its file, of version 3, and runs by the format alone to the same logits', async () => {
    const { integer, pixels, count } = await exportedNetwork(config);
    const file = writeModelFile(integer);
    expect(new TextDecoder().decode(file.subarray(0, 200_000))).toContain('"version":"3"');
    const read = readModelFile(file, 'm');
    expect(read.program).toEqual(integer.program);
    expect(read.biases).toEqual(integer.biases);
    expect(writeModelFile(read)).toEqual(file);
    const one = pixels.subarray(0, pixels.length / count);
    const logits = await referenceEngine(read).run(one, 1);
    expect(interpretModelFile(file, one).map(Number)).toEqual([...logits]);
  });
});
