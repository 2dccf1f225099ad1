import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseRecipe } from '../../src/calibrate/readRecipe.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import type { Model } from '../../src/model/load.ts';
import { loadImage } from '../../src/node/loadImage.ts';
import { loadModelFolder } from '../../src/node/modelFolder.ts';
import { checkerComplaint, onnxLogits, readOnnx } from '../support/onnx.ts';
import { json, NO_ADAPTER, quantizedModel, refusal, type QuantizedModel } from '../support/quantizedModel.ts';
import { quantizedForward } from '../support/quantizedForward.ts';
import { tinyTensors, writeModel } from '../support/tinyModel.ts';

describe('a quantized model', () => {
  let made: QuantizedModel;
  let model: Model;
  let images: Uint8Array[];
  beforeAll(async () => {
    made = await quantizedModel();
    model = await loadModelFolder(made.model);
    const names = Array.from({ length: 12 }, (_, i) => `${String(i).padStart(3, '0')}.png`);
    const load = (name: string) => loadImage(made.images, name, model.config.preprocessing);
    images = (await Promise.all(names.map(load))).map(({ rgb }) => rgb);
  });
  const write = async (source: string, format: string, ...more: string[]) => {
    const out = join(made.folder, `${format}-file`);
    const report = await json(['export', source, '--format', format, '--out', out, '--force', ...more], NO_ADAPTER);
    const file = readFileSync(out);
    expect(report).toMatchObject({ format, out, bytes: file.byteLength, nonlinear: null });
    return { report, file };
  };

  test('as ONNX has the logits of its recipe', async () => {
    const { report, file } = await write(made.recipe, 'onnx');
    expect(report).toMatchObject({ recipe: made.recipe, model: null });
    expect(checkerComplaint(file)).toBe('');
    const recipe = parseRecipe(readFileSync(join(made.recipe, 'recipe.json'), 'utf8'), 'recipe.json');
    const weights = readFileSync(join(made.recipe, 'weights.safetensors'));
    const logits = await onnxLogits(file, model, images);
    let [signal, error] = [0, 0];
    images.forEach((rgb, i) => {
      quantizedForward(model, recipe, weights, rgb).forEach((value, k) => {
        signal += value ** 2;
        error += (value - logits[i * model.network.numClasses + k]!) ** 2;
      });
    });
    expect(10 * Math.log10(signal / error)).toBeGreaterThan(30);
  });

  test('as float ONNX is the model itself', async () => {
    const { report, file } = await write(made.model, 'onnx-float');
    expect(report).toMatchObject({ recipe: null, model: made.model });
    const { nodes, metadata } = readOnnx(file);
    expect(nodes.filter(({ operator }) => operator === 'QuantizeLinear')).toEqual([]);
    expect(JSON.parse(metadata['twinshift.labels']!)).toEqual(model.config.labels);
  });

  test('as safetensors is its checkpoint with other values', async () => {
    const { report, file } = await write(made.recipe, 'safetensors-qdq', '--model', made.model);
    expect(report).toMatchObject({ recipe: made.recipe, model: made.model });
    const shapes = (bytes: Uint8Array) =>
      [...parseSafetensors(bytes, 'file').tensors.values()].map(({ name, shape }) => `${name} ${shape.join()}`).sort();
    expect(shapes(file)).toEqual(shapes(readFileSync(join(made.model, 'model.safetensors'))));
  });

  test('is refused with another float model, and no file is left', async () => {
    const other = writeModel(join(made.folder, 'other'), tinyTensors(2));
    const out = join(made.folder, 'refused');
    const words = ['export', made.recipe, '--format', 'safetensors-qdq', '--model', other, '--out', out];
    expect(await refusal(words)).toContain('was made for a model.safetensors with SHA-256');
    expect(await refusal(['export', made.recipe, '--format', 'onnx-float', '--out', out])).toContain('config.json');
    expect(existsSync(out)).toBe(false);
  });
});
