/**
 * Times integer-only inference against the float path on the adapter of this machine, batch by batch and layer by layer. Run after
 * a build with `node dist/bench/infer.js [--file <model file>] [--against <float model>] [--batch 1,8,32] [--seconds 5]`; without
 * a file it exports one, which `--keep <file>` writes. The float model is DeiT-Tiny where the real data is (`TWINSHIFT_DATA`), else
 * the embedded sample. Ends with 1 when a claim does not hold.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibrate/calibrate.ts';
import { calibrationOptions } from '../src/calibrate/presets.ts';
import { recipeText } from '../src/calibrate/recipeText.ts';
import { quantizedWeightsFile } from '../src/calibrate/weightsFile.ts';
import { exportModel } from '../src/export/exportModel.ts';
import type { IntegerModel } from '../src/format/model.ts';
import { writeModelFile } from '../src/format/writeModelFile.ts';
import type { Gpu } from '../src/gpu/device.ts';
import type { Model } from '../src/model/load.ts';
import { loadModelFile } from '../src/node/modelFile.ts';
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { checkInference } from './infer/checkInference.ts';
import { labelledImages, realData, SAMPLE } from './support/data.ts';

/** The values of scales do not change the time of a product: the quickest calibration that can be exported will do. */
async function quicklyQuantized(gpu: Gpu, model: Model, folder: string): Promise<IntegerModel> {
  const { images } = await labelledImages(folder, model);
  const result = await calibrate(gpu, model, images.slice(0, 2), {
    ...calibrationOptions('paper'),
    rounds: 1,
    candidates: 4,
  });
  return exportModel({
    recipe: result.recipe,
    recipeText: recipeText(result.recipe),
    weights: quantizedWeightsFile(result),
    weightsFile: 'weights.safetensors',
    writtenBy: 'bench',
  });
}

const { values } = parseArgs({
  options: {
    file: { type: 'string' },
    keep: { type: 'string' },
    against: { type: 'string' },
    batch: { type: 'string', default: '1,8,32' },
    seconds: { type: 'string', default: '5' },
  },
});
const data = realData();
const photos = data === undefined ? `${SAMPLE}/calib` : `${data}/imagenet-sample/calib`;
const { against = data === undefined ? SAMPLE : `${data}/deit-tiny-patch16-224`, file } = values;
const { gpu, close } = await openNodeGpu({ exactTimestamps: true });
try {
  const model = await loadModelFolder(against);
  const integer = file === undefined ? await quicklyQuantized(gpu, model, photos) : (await loadModelFile(file)).model;
  if (values.keep !== undefined) await writeFile(values.keep, writeModelFile(integer));
  const options = { batches: values.batch.split(',').map(Number), seconds: Number(values.seconds) };
  process.exitCode = (await checkInference(gpu, integer, model, options)) === 0 ? 0 : 1;
} finally {
  close();
}
