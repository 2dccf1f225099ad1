import { expect, test } from 'vitest';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { inChromium } from '../support/browserSession.ts';
import { TINY_CONFIG, tinyTensors } from '../support/tinyModel.ts';

test('a page calibrates with and without what is loaded for an option, exports, and runs the integers', async () => {
  const files = {
    '/config': new TextEncoder().encode(JSON.stringify(TINY_CONFIG)),
    '/weights': writeSafetensors(tinyTensors()),
  };
  const results = await inChromium(files, (page) =>
    page.evaluate(async () => {
      const load = async (name: string) => new Uint8Array(await (await fetch(name)).arrayBuffer());
      const library = await twinshift;
      const gpu = await library.openGpu(navigator.gpu);
      const configJson = new TextDecoder().decode(await load('/config'));
      const model = await library.loadModel({ configJson, weights: await load('/weights') });
      const { width, height } = model.config.preprocessing;
      const images = [1, 2].map((i) => ({
        file: `${i}.png`,
        sha256: `${i}`.repeat(64),
        rgb: Uint8Array.from({ length: width * height * 3 }, (_, k) => (k * k * i) >> 3),
      }));
      const run = async (overrides: Parameters<typeof library.calibrationOptions>[1]) => {
        const options = library.calibrationOptions('fast', overrides);
        const result = await library.calibrate(gpu, model, images, options);
        const weights = library.quantizedWeightsFile(result);
        const simulation = await library.createSimulation(gpu, model, result.recipe, weights);
        const simulated = await simulation.logits(images.map(({ rgb }) => rgb));
        const recipeText = library.recipeText(result.recipe);
        const input = { recipe: result.recipe, recipeText, weights, weightsFile: 'weights', writtenBy: 'page' };
        const bytes = await library.writeModelFile(await library.exportModel(input));
        const pixels = (images[0] as { rgb: Uint8Array }).rgb;
        const session = await library.createSession(gpu.device, bytes);
        const engine = await library.createReferenceEngine(bytes);
        const [own, expected] = [await session.run(pixels, 1), await engine.run(pixels, 1)];
        return { simulated: [...simulated], own: [...own], expected: [...expected] };
      };
      const found = [await run({ candidates: 4 }), await run({ calibrator: 'min-max', biasCorrection: 'network' })];
      gpu.check();
      return found;
    }),
  );
  for (const { simulated, own, expected } of results) {
    expect(simulated.every(Number.isFinite)).toBe(true);
    expect(new Set(own).size).toBeGreaterThan(1);
    expect(own).toEqual(expected);
  }
  expect(results[0]?.own).not.toEqual(results[1]?.own);
});
