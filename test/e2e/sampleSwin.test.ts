import { expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../../src/calibrate/weightsFile.ts';
import { compareLogits } from '../../src/evaluate/compare.ts';
import { exportModel } from '../../src/export/exportModel.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { createSession } from '../../src/infer/session.ts';
import { concatenateBytes } from '../../src/node/concatenateBytes.ts';
import { createFloatRunner } from '../../src/simulate/simulate.ts';
import { useGpu } from '../support/device.ts';
import { sampleImages, sampleModel } from '../support/sample.ts';

const shared = useGpu();

/** Of 32 and 256 images; `npm run acceptance` takes them all. */
const CALIBRATED = 8;
const EVALUATED = 64;

test('the embedded Swin: quantized to 8 bits, in integers only, it agrees with its float original', async () => {
  const model = await sampleModel('sample-swin');
  const result = await calibrate(
    shared.gpu,
    model,
    await sampleImages(model, 'calib', CALIBRATED),
    calibrationOptions('default'),
  );
  const weights = { weights: quantizedWeightsFile(result), weightsFile: 'weights.safetensors' };
  const { recipe } = result;
  const exported = await exportModel({ recipe, recipeText: recipeText(recipe), ...weights, writtenBy: 'test' });
  const file = writeModelFile(exported);
  const images = (await sampleImages(model, 'eval', EVALUATED)).map(({ rgb }) => rgb);
  const runner = await createFloatRunner(shared.gpu, model);
  const float = await runner.logits(images);
  runner.destroy();
  const classes = model.network.numClasses;
  for (const runtime of ['integer', 'mixed'] as const) {
    const session = await createSession(shared.device, file, { runtime });
    const logits = await session.run(concatenateBytes(images), images.length);
    session.destroy();
    const values = Float32Array.from(logits, (value) => value * session.logitScale);
    const compared = compareLogits({ logits: float, classes }, { logits: values, classes }, null);
    console.log(`${runtime}: ${100 * compared.agreement} % agree, ${compared.logitSqnrDb} dB`);
    expect(compared.agreement, runtime).toBeGreaterThanOrEqual(0.97);
    expect(compared.logitSqnrDb, runtime).toBeGreaterThanOrEqual(20);
    if (runtime === 'integer') {
      const two = await createReferenceEngine(file).run(concatenateBytes(images.slice(0, 2)), 2);
      expect(two).toEqual(logits.slice(0, 2 * classes));
    }
  }
});
