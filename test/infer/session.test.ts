import { create } from 'webgpu';
import { describe, expect, test } from 'vitest';
import type { IntegerModel, NormParameters } from '../../src/format/model.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { DeviceLostError, UnsupportedDeviceError } from '../../src/gpu/errors.ts';
import { planMemory } from '../../src/infer/plan.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { createSession, sessionOf, type SessionOptions } from '../../src/infer/session.ts';
import { preprocess } from '../../src/io/preprocess.ts';
import { random } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { restrictedDevice } from '../support/restrictedDevice.ts';
import { tinyIntegerModel, type TinyIntegerModelOptions } from '../support/tinyIntegerModel.ts';

const context = useGpu();
/** No trial of tiles, which has tests of its own. */
const PLAIN: SessionOptions = { tiles: 'plain' };

const pixelsOf = (model: IntegerModel, batch: number, seed = 1): Uint8Array => {
  const { width, height } = model.preprocessing;
  const next = random(seed);
  return Uint8Array.from({ length: batch * width * height * 3 }, () => Math.floor(next() * 256));
};

/** `model` whose logits come from another row than the first. */
function fromRow(model: IntegerModel, row: number): IntegerModel {
  const operations = model.program.operations.map((operation) =>
    operation.kind === 'layerNorm' && operation.row !== null ? { ...operation, row } : operation,
  );
  return { ...model, program: { ...model.program, operations } };
}

/** `model` whose LayerNorms make codes four times as large, which saturate. */
function louder(model: IntegerModel): IntegerModel {
  const norms = [...model.norms].map(([name, norm]) => [
    name,
    { ...norm, shifts: norm.shifts.map((shift) => shift - 2) },
  ]);
  return { ...model, norms: new Map(norms as [string, NormParameters][]) };
}

const VARIANTS: [string, Partial<TinyIntegerModelOptions>, change?: (model: IntegerModel) => IntegerModel][] = [
  ['shift, as published', { softmax: 'shift', gelu: 'shift', norm: 'published' }],
  ['shift-fixed', { softmax: 'shift-fixed', gelu: 'shift-fixed' }],
  ['poly', { softmax: 'poly', gelu: 'poly' }],
  ['lut', { softmax: 'lut', gelu: 'lut' }],
  ['lut-codes', { gelu: 'lut-codes' }],
  ['6 bits', { weightBits: 6, activationBits: 6, shift: 2 }],
  ['4 bits', { weightBits: 4, activationBits: 4, shift: 1, softmax: 'shift-fixed' }],
  ['two prefix tokens', { prefixRows: 2, heads: 3, embedDim: 36, hiddenDim: 52 }],
  ['images whose bytes fill no word', { imageSize: 15, patchSize: 5, numClasses: 7 }],
  ['the third row', { prefixRows: 3 }, (model) => fromRow(model, 2)],
  ['saturated codes of 5 bits', { activationBits: 5 }, louder],
  ['one head, one class', { heads: 1, numClasses: 1, depth: 1 }],
];

describe('a session gives the integers of the reference engine', () => {
  test.each(VARIANTS)('%s', async (name, overrides, change = (model) => model) => {
    const model = change(tinyIntegerModel(3, overrides));
    const pixels = pixelsOf(model, 3);
    const expected = await referenceEngine(model).run(pixels, 3);
    if (model.architecture.numClasses > 1) expect(new Set(expected).size, name).toBeGreaterThan(3);
    const session = await createSession(context.device, writeModelFile(model), PLAIN);
    expect(await session.run(pixels, 3)).toEqual(expected);
    session.destroy();
  });

  test('at batches of 1 to 64, whatever came before', async () => {
    const model = tinyIntegerModel(4, { depth: 1, imageSize: 10, patchSize: 5 });
    const pixels = pixelsOf(model, 64);
    const expected = await referenceEngine(model).run(pixels, 64);
    const session = await sessionOf(context.device, model, PLAIN);
    const [image, classes] = [pixels.length / 64, session.numClasses];
    const seen: number[] = [];
    for (const batch of [1, 8, 2, 3, 64, 5, 1, 8, 64]) {
      const logits = await session.run(pixels.subarray(0, batch * image), batch);
      expect(logits, `batch ${batch}`).toEqual(expected.subarray(0, batch * classes));
      seen.push(session.memory.activationBytes);
    }
    const bytes = planMemory(model.program, 64, 256).slabs.reduce((a, b) => a + b);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(bytes); // one arena for every batch size, no larger than the largest needs
    session.destroy();
  });

  test('in parts, when more images come than go together', async () => {
    const model = tinyIntegerModel(5, { depth: 1, imageSize: 15, patchSize: 5 });
    const pixels = pixelsOf(model, 8);
    const expected = await referenceEngine(model).run(pixels, 8);
    for (const maxBatch of [1, 3, 5]) {
      const session = await sessionOf(context.device, model, { ...PLAIN, maxBatch });
      expect(session.maxBatch).toBe(maxBatch);
      expect(await session.run(pixels, 8), `parts of ${maxBatch}`).toEqual(expected);
      session.destroy();
    }
  });

  test('when many runs are under way at once, batches mixed', async () => {
    const model = tinyIntegerModel(6, { depth: 1 });
    const session = await sessionOf(context.device, model, { ...PLAIN, maxBatch: 2 });
    const batches = [1, 2, 5, 1, 3, 2, 1, 1, 4, 2, 1, 2];
    const inputs = batches.map((batch, i) => pixelsOf(model, batch, 10 + i));
    const finished: number[] = [];
    const runs = inputs.map(async (pixels, i) => {
      const logits = await session.run(pixels, batches[i] as number);
      finished.push(i);
      return logits;
    });
    const logits = await Promise.all(runs);
    for (const [i, pixels] of inputs.entries()) {
      expect(logits[i], `run ${i}`).toEqual(await referenceEngine(model).run(pixels, batches[i] as number));
    }
    expect(finished).toEqual(batches.map((_, i) => i));
    session.destroy();
  });

  test('when the device has no memory for the whole batch', async () => {
    const model = tinyIntegerModel(7, { depth: 1 });
    const pixels = pixelsOf(model, 11);
    const most = Math.max(...planMemory(model.program, 3, 256).slabs);
    const device = restrictedDevice(context.device, { memoryForOneBuffer: most });
    const session = await sessionOf(device, model, PLAIN);
    expect(session.maxBatch).toBe(64);
    expect(await session.run(pixels, 11)).toEqual(await referenceEngine(model).run(pixels, 11));
    expect(session.maxBatch).toBe(2); // 11, 5, 2
    session.destroy();
  });

  test('with tiles chosen by measurement', async () => {
    const model = tinyIntegerModel(8, { depth: 1 });
    const pixels = pixelsOf(model, 2);
    const session = await sessionOf(context.device, model);
    expect(await session.run(pixels, 2)).toEqual(await referenceEngine(model).run(pixels, 2));
    session.destroy();
  });
});

describe('a session', () => {
  test('classifies a picture of any size as the reference engine does', async () => {
    const model = tinyIntegerModel(9);
    const next = random(5);
    const image = { width: 37, height: 23, data: Uint8Array.from({ length: 37 * 23 * 3 }, () => next() * 256) };
    const session = await sessionOf(context.device, model, PLAIN);
    const { logits, logitScale, top } = await session.classify(image, { top: 3 });
    expect(logitScale).toBe(session.logitScale);
    expect(top).toHaveLength(3);
    expect(top).toEqual((await referenceEngine(model).classify(image, { top: 3 })).top);
    expect(top.map(({ label }) => label)).toEqual(top.map(({ index }) => `class ${index}`));
    expect(await session.run(preprocess(image, model.preprocessing), 1)).toEqual(logits);
    expect(top[0]?.index).toBe(logits.indexOf(Math.max(...logits)));
    session.destroy();
  });

  test('tells its sizes, and keeps no weights on the host', async () => {
    const model = tinyIntegerModel(10);
    const session = await sessionOf(context.device, model, PLAIN);
    const weights = [...model.linear.values()].reduce((sum, { codes }) => sum + codes.length, 0);
    expect(session.memory.weightBytes).toBeGreaterThan(weights);
    expect(session.memory.weightBytes).toBeLessThan(3 * weights + 20_000);
    expect(session.memory.activationBytes).toBe(0);
    expect([session.numClasses, session.logitScale]).toEqual([5, model.program.tensors['logits']?.scales[0]]);
    expect([...session.model.linear.values()].map(({ codes }) => codes.length)).toEqual([...model.linear].map(() => 0));
    expect(session.model.tokens.size).toBe(0);
    session.destroy();
  });

  test('times every operation, or says that the device cannot', async () => {
    const model = tinyIntegerModel(11, { depth: 1 });
    const pixels = pixelsOf(model, 2);
    const session = await sessionOf(context.device, model, { ...PLAIN, maxBatch: 2 });
    const times = await session.profile(pixels, 2);
    if (context.device.features.has('timestamp-query')) {
      const expected = model.program.operations.map(({ name, kind }) => ({ name, kind }));
      expect(times?.map(({ name, kind }) => ({ name, kind }))).toEqual(expected);
      expect(times?.filter(({ milliseconds }) => !(milliseconds >= 0 && milliseconds < 60_000))).toEqual([]);
      await expect(session.profile(pixelsOf(model, 3), 3)).rejects.toThrow(/at most 2 images .* got 3/);
    }
    const without = await sessionOf(restrictedDevice(context.device, { features: [] }), model, PLAIN);
    expect(await without.profile(pixels, 2)).toBeUndefined();
    expect(await session.run(pixels, 2)).toEqual(await referenceEngine(model).run(pixels, 2));
    for (const each of [session, without]) each.destroy();
  });
});

describe('a session refuses', () => {
  test('pixels of another size, with the numbers', async () => {
    const model = tinyIntegerModel(12, { depth: 1 });
    const session = await sessionOf(context.device, model, PLAIN);
    const pixels = pixelsOf(model, 2);
    await expect(session.run(pixels, 1)).rejects.toThrow(
      new RangeError('1 images of 16 x 16 have 768 bytes of pixels, got 1536; preprocess them for the model'),
    );
    await expect(session.run(pixels.subarray(1), 2)).rejects.toThrow(/1536 bytes of pixels, got 1535/);
    for (const batch of [0, -1, 1.5, NaN]) await expect(session.run(pixels, batch)).rejects.toThrow(RangeError);
    await expect(session.profile(pixels, 3)).rejects.toThrow(/got 1536/);
    expect(await session.run(pixels, 2)).toEqual(await referenceEngine(model).run(pixels, 2));
    session.destroy();
  });

  test('work after its end, and what was under way', async () => {
    const model = tinyIntegerModel(13, { depth: 1 });
    const session = await sessionOf(context.device, model, PLAIN);
    const pixels = pixelsOf(model, 1);
    await session.run(pixels, 1);
    const under = [session.run(pixels, 1), session.run(pixelsOf(model, 3), 3), session.run(pixels, 1)];
    session.destroy();
    for (const run of under) await expect(run).rejects.toThrow('the session was destroyed');
    await expect(session.run(pixels, 1)).rejects.toThrow('the session was destroyed');
    await expect(session.profile(pixels, 1)).rejects.toThrow('the session was destroyed');
    session.destroy();
  });

  test('a device that was lost', async () => {
    const instance = create([]);
    const { device } = await openGpu(instance);
    const model = tinyIntegerModel(14, { depth: 1 });
    const session = await sessionOf(device, model, PLAIN);
    const pixels = pixelsOf(model, 1);
    await session.run(pixels, 1);
    const under = session.run(pixels, 1);
    device.destroy();
    await expect(under).rejects.toThrow(DeviceLostError);
    await expect(session.run(pixels, 1)).rejects.toThrow(DeviceLostError);
    session.destroy();
  });

  test('a device that lacks a limit, with the limit and the number', async () => {
    const model = tinyIntegerModel(15, { depth: 1 });
    const refused = (limits: Partial<Record<keyof GPUSupportedLimits, number>>) =>
      expect(sessionOf(restrictedDevice(context.device, { limits }), model, PLAIN)).rejects;
    await refused({ maxStorageBuffersPerShaderStage: 4 }).toThrow(UnsupportedDeviceError);
    await refused({ maxStorageBuffersPerShaderStage: 4 }).toThrow(/6 storage buffers.* is 4/);
    await refused({ maxStorageBufferBindingSize: 700 }).toThrow(UnsupportedDeviceError);
    await refused({ maxStorageBufferBindingSize: 700 }).toThrow(
      /\d+ bytes for tensor .*maxStorageBufferBindingSize is 700/,
    );
    await refused({ maxBufferSize: 700 }).toThrow(/maxBufferSize is 700/);
  });

  test('a device without memory for one image, with the bytes', async () => {
    const model = tinyIntegerModel(16, { depth: 1 });
    const session = await sessionOf(restrictedDevice(context.device, { memoryForOneBuffer: 256 }), model, PLAIN);
    const run = session.run(pixelsOf(model, 4), 4);
    await expect(run).rejects.toThrow(UnsupportedDeviceError);
    await expect(run).rejects.toThrow(/no \d+ bytes left for the activations of 1 images/);
    session.destroy();
  });

  test('float kinds in the integer runtime', async () => {
    const options: SessionOptions = { runtime: 'integer', float: ['gelu'] };
    await expect(sessionOf(context.device, tinyIntegerModel(17), options)).rejects.toThrow(/no float gelu/);
  });
});
