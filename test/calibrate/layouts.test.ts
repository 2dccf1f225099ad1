import { beforeAll, describe, expect, test } from 'vitest';
import { LAYOUTS, existsIn } from '../../bench/support/checkpointLayouts.ts';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import { describeModel } from '../../src/calibrate/describeModel.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import type { Model } from '../../src/model/load.ts';
import { loadFrom, tinySwin, tinyVit } from '../support/checkpoints.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';

const shared = useGpu();
const options = calibrationOptions('fast');

const configs = [
  ['a distilled DeiT', tinyVit({ distilled: true, prefixTokens: 2, depth: 1 })],
  ['a Swin', tinySwin({ depths: [1, 1], heads: [1, 2] })],
] as const;

describe.each(configs)('%s', (_what, config) => {
  const layouts = LAYOUTS.filter((layout) => existsIn(config, layout));
  const models: Model[] = [];
  beforeAll(async () => {
    for (const layout of layouts) models.push(await loadFrom(config, layout));
  });

  test('the layers are the same in every layout', () => {
    const tables = models.map((model) => describeModel(model, options).layers);
    for (const table of tables) expect(table).toEqual(tables[0]);
    expect(new Set(models.map((model) => model.weightsSha256)).size).toBe(layouts.length);
  });

  test('recipes differ in the hash of the weights alone', async () => {
    const images = Array.from({ length: 2 }, (_, i) => ({
      ...{ file: `${i}.png`, sha256: String(i).repeat(64) },
      rgb: Uint8Array.from(noise(3 * config.imageSize ** 2, i + 1, 127), (value) => value + 128),
    }));
    const texts: string[] = [];
    // the parameters of all layouts are equal (test/checkpoint/layouts.test.ts): the first and the last are enough here
    for (const model of [models[0] as Model, models.at(-1) as Model]) {
      const { recipe } = await calibrate(shared.gpu, model, images, options);
      expect(recipe.model.weightsSha256).toBe(model.weightsSha256);
      texts.push(recipeText(recipe).replace(model.weightsSha256, 'HASH'));
    }
    expect(texts[1]).toBe(texts[0]);
  });
});
