import { describe, expect, test } from 'vitest';
import type { IntegerModel } from '../../src/format/model.ts';
import type { IntegerCodes, IntegerTensor } from '../../src/format/program.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine, referenceEngine } from '../../src/infer/referenceEngine.ts';
import type { NonlinearChoice } from '../../src/export/nonlinear.ts';
import { classification, type RankedClass } from '../../src/infer/classification.ts';
import { preprocess } from '../../src/io/preprocess.ts';
import { dequantizedProgram } from '../support/dequantizedProgram.ts';
import { exportedModel, type ExportedModel } from '../support/exportedModel.ts';
import { handModel, linearOf, matrix, UNIFORM_8 } from '../support/handModel.ts';

/** A picture of 2 x 2 pixels whose codes, channel by channel, are 1 to 12. */
const COUNT = Uint8Array.from([1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12], (code) => code + 128);

describe('by hand', () => {
  const head = (codes: readonly number[], bias: readonly number[]): IntegerModel =>
    handModel(
      {
        input: 'pixels',
        output: 'logits',
        tensors: {
          pixels: matrix('pixels', 2, 2),
          patches: matrix('left', 1, 12, UNIFORM_8),
          logits: matrix('int32', 1, bias.length),
        },
        operations: [
          { kind: 'patches', name: 'cut', input: 'pixels', output: 'patches', patchSize: 2 },
          {
            ...{ kind: 'linear', name: 'head', input: 'patches', inFeatures: 12, outFeatures: bias.length },
            ...{ weightBits: 8, outputs: [{ tensor: 'logits', first: 0 }], residual: null },
          },
        ],
      },
      { linear: { head: linearOf(codes, bias) } },
    );

  test('a patch is centred pixels, channel after channel, times a weight of one row a class', async () => {
    const first = Array.from({ length: 12 }, (_, i) => (i === 4 ? 3 : 0)); // red is 1 2 3 4, green begins with 5
    const all = Array.from({ length: 12 }, (_, i) => i - 6);
    const model = head([...first, ...all], [100, -7]);
    expect([...(await referenceEngine(model).run(COUNT, 1))]).toEqual([3 * 5 + 100, 572 - 6 * 78 - 7]);
  });

  test('every image of a batch by itself, with the progress told', async () => {
    const model = head(
      Array.from({ length: 12 }, () => 1),
      [0],
    );
    const told: number[][] = [];
    const pixels = Uint8Array.from([...COUNT, ...new Uint8Array(12), ...new Uint8Array(12).fill(255)]);
    const logits = await referenceEngine(model).run(pixels, 3, { onImage: (done, of) => told.push([done, of]) });
    expect([...logits]).toEqual([78, -128 * 12, 127 * 12]);
    expect(told).toEqual([1, 2, 3].map((done) => [done, 3]));
  });

  test('logits of 16 bits, rescaled and rounded toward +infinity', async () => {
    const codes = [127, -128, 0].flatMap((code) => new Array<number>(12).fill(code));
    const wide = head(codes, [0, 0, -1]);
    const halves = linearOf(codes, [0, 0, -1], { multiplier: 2 ** 30, shift: 31 });
    const tensors = { ...wide.program.tensors, logits: matrix('int16', 1, 3) };
    const model = { ...wide, program: { ...wide.program, tensors }, linear: new Map([['head', halves]]) };
    expect([...(await referenceEngine(model).run(COUNT, 1))]).toEqual([(78 * 127) / 2, -78 * 64, 0]);
  });

  test('refuses another number of pixels, stops when it is told to', async () => {
    const engine = referenceEngine(head(new Array<number>(12).fill(1), [0]));
    await expect(engine.run(COUNT, 2)).rejects.toThrow('2 images have 24 bytes of pixels, got 12');
    await expect(engine.run(COUNT, 0)).rejects.toThrow('batch must be an integer of at least 1, got 0');
    expect(() => engine.trace(new Uint8Array(11))).toThrow('1 images have 12 bytes of pixels, got 11');
    const controller = new AbortController();
    const run = engine.run(COUNT, 1, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
  });
});

describe('with a pencil', () => {
  // Two patches of the codes 1 to 12 and 21 to 32.
  const pixels = new Uint8Array(24);
  for (let i = 0; i < 12; i++) {
    const [channel, y, x] = [Math.floor(i / 4), Math.floor(i / 2) % 2, i % 2];
    pixels[3 * (4 * y + x) + channel] = 129 + i;
    pixels[3 * (4 * y + 2 + x) + channel] = 149 + i;
  }
  const cut = { kind: 'patches', name: 'cut', input: 'pixels', output: 'patches', patchSize: 2 } as const;
  const linear = { kind: 'linear', input: 'patches', inFeatures: 12, weightBits: 8, residual: null } as const;
  const inputs = { pixels: matrix('pixels', 2, 4), patches: matrix('left', 2, 12, UNIFORM_8) };
  /** Rows of a weight, each with one code at one place. */
  const picks = (places: readonly (readonly [place: number, code: number])[]) =>
    places.flatMap(([place, code]) => Array.from({ length: 12 }, (_, i) => (i === place ? code : 0)));

  test('q, k and v of one weight by head, and their products with the heads side by side', () => {
    const eights = (first: number) => Array.from({ length: 8 }, (_, i) => [first + i, 8] as const);
    const eighth = { multiplier: 2 ** 14, shift: 17 };
    const sixteenth = { multiplier: 2 ** 14, shift: 18 };
    const byHead = { heads: 2, rows: 2, scales: [1], codes: UNIFORM_8 };
    const model = handModel(
      {
        input: 'pixels',
        output: 'mixed',
        tensors: {
          ...inputs,
          q: { ...byHead, layout: 'left', columns: 4 },
          k: { ...byHead, layout: 'right-transposed', columns: 4 },
          v: { ...byHead, layout: 'right', columns: 4 },
          sums: { ...byHead, layout: 'int32', columns: 2 },
          scores: { ...byHead, layout: 'left', columns: 2 },
          mixed: matrix('left', 2, 8, UNIFORM_8),
        },
        operations: [
          cut,
          {
            ...{ ...linear, name: 'qkv', outFeatures: 24 },
            outputs: [
              { tensor: 'q', first: 0 },
              { tensor: 'k', first: 8 },
              { tensor: 'v', first: 16 },
            ],
          },
          { kind: 'product', name: 'sums', a: 'q', b: 'k', output: 'sums', bias: null, rescales: null },
          {
            kind: 'product',
            name: 'scores',
            a: 'q',
            b: 'k',
            output: 'scores',
            bias: null,
            rescales: [eighth, sixteenth],
          },
          {
            kind: 'product',
            name: 'mixed',
            a: 'scores',
            b: 'v',
            output: 'mixed',
            bias: null,
            rescales: [eighth, sixteenth],
          },
        ],
      },
      {
        linear: {
          qkv: linearOf(picks([...eights(0), ...eights(0), ...eights(4)]), new Array<number>(24).fill(0), eighth),
        },
      },
    );
    const words = referenceEngine(model).trace(pixels);
    const bytes = (name: string) => [...new Int8Array((words.get(name) as Uint32Array).slice().buffer)];
    const tokens = [1, 2, 3, 4, 21, 22, 23, 24, 5, 6, 7, 8, 25, 26, 27, 28]; // by head
    expect(bytes('q')).toEqual(tokens);
    expect(bytes('k')).toEqual(tokens); // words of four features of a token
    // words of four tokens of a feature, of which two are there
    const right = [5, 25, 6, 26, 7, 27, 8, 28, 9, 29, 10, 30, 11, 31, 12, 32];
    expect(bytes('v')).toEqual(right.flatMap((code, i) => (i % 2 === 0 ? [code] : [code, 0, 0])));
    expect([...(words.get('sums') as Uint32Array)]).toEqual([30, 230, 230, 2030, 174, 694, 694, 2814]);
    expect(bytes('scores')).toEqual([4, 29, 0, 0, 29, 127, 0, 0, 11, 43, 0, 0, 43, 127, 0, 0]);
    expect(bytes('mixed')).toEqual([93, 97, 101, 106, 84, 88, 91, 94, ...new Array<number>(8).fill(127)]);
  });

  test('codes of four bits saturate at theirs', () => {
    const four: IntegerCodes = { kind: 'uniform', bits: 4, shift: 0 };
    const model = handModel(
      {
        ...{ input: 'pixels', output: 'codes', tensors: { ...inputs, codes: matrix('left', 2, 4, four) } },
        operations: [cut, { ...linear, name: 'narrow', outFeatures: 4, outputs: [{ tensor: 'codes', first: 0 }] }],
      },
      {
        linear: {
          narrow: linearOf(picks([[0, 8], [6, 8], [7, 8], [8, -8]]), [0, 0, 0, 0], { multiplier: 2 ** 14, shift: 17 }), // prettier-ignore
        },
      },
    );
    const [first, second] = referenceEngine(model).trace(pixels).get('codes') as Uint32Array;
    expect([...new Int8Array(Uint32Array.of(first as number, second as number).buffer)]).toEqual([
      1, 7, 7, -8, 7, 7, 7, -8,
    ]);
  });

  test('a prefix, positions, and a residual that is rounded by itself', () => {
    const model = handModel(
      {
        input: 'pixels',
        output: 'sum',
        tensors: {
          ...inputs,
          embedded: matrix('int16', 2, 2),
          sum: matrix('int16', 2, 2),
          tokens: matrix('int16', 3, 2),
        },
        operations: [
          cut,
          { ...linear, name: 'embed', outFeatures: 2, outputs: [{ tensor: 'embedded', first: 0 }] },
          { kind: 'tokens', name: 'tokens', input: 'embedded', output: 'tokens', prefixRows: 1 },
          {
            ...{ ...linear, name: 'add', outFeatures: 2, outputs: [{ tensor: 'sum', first: 0 }] },
            residual: { tensor: 'embedded', multiplier: 3 * 2 ** 29, shift: 30 },
          },
        ],
      },
      {
        linear: {
          embed: linearOf(picks([[0, 1], [11, -1]]), [0, 0], { multiplier: 2 ** 30, shift: 30 }), // prettier-ignore
          add: linearOf(picks([[0, 3], [11, 1]]), [0, 0], { multiplier: 2 ** 30, shift: 31 }), // prettier-ignore
        },
        tokens: { tokens: { values: Int16Array.of(7, -7, 10, 20, 32767, -32768) } },
      },
    );
    const words = referenceEngine(model).trace(pixels);
    const halves = (name: string) => [...new Int16Array((words.get(name) as Uint32Array).slice().buffer)];
    expect(halves('embedded')).toEqual([1, -12, 21, -32]);
    expect(halves('tokens')).toEqual([7, -7, 11, 8, 32767, -32768]);
    expect(halves('sum')).toEqual([2 + 2, 6 - 18, 32 + 32, 16 - 48]);
  });
});

/** Signal to noise in dB of the logits of all images against the network that the model stands for, in double. */
async function quality({ integer, pixels, count }: ExportedModel): Promise<number> {
  const engine = referenceEngine(integer);
  const logits = await engine.run(pixels, count);
  const size = pixels.length / count;
  let [signal, noise] = [0, 0];
  for (let image = 0; image < count; image++) {
    const tensors = dequantizedProgram(integer, pixels.subarray(image * size, (image + 1) * size));
    (tensors.get(integer.program.output) as Float64Array).forEach((real, i) => {
      signal += real ** 2;
      noise += ((logits[image * engine.numClasses + i] as number) * engine.logitScale - real) ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}

test.each<[string, NonlinearChoice, number]>([
  ['tables', {}, 31],
  ['I-BERT', { softmax: 'poly', gelu: 'poly' }, 32],
  ['repaired shifts', { softmax: 'shift-fixed', gelu: 'shift-fixed' }, 28],
  ['Shiftmax', { softmax: 'shift' }, 25],
  ['ShiftGELU', { gelu: 'shift' }, 28],
  ['I-LayerNorm as published', { layerNorm: 'shift' }, 28],
])('%s: the network that the integers stand for', async (_name, nonlinear, least) => {
  for (const name of ['vit-plain', 'vit-distilled'] as const) {
    expect(await quality(await exportedModel(name, { nonlinear })), name).toBeGreaterThan(least);
  }
});

test('an image of a batch has the logits that it has alone, and those of its trace', async () => {
  const { integer, pixels, count } = await exportedModel('vit-distilled');
  const engine = createReferenceEngine(writeModelFile(integer), 'model');
  const together = await engine.run(pixels, count);
  const size = pixels.length / count;
  const { layout } = integer.program.tensors[integer.program.output] as IntegerTensor;
  for (let image = 0; image < count; image++) {
    const one = pixels.slice(image * size, (image + 1) * size);
    const alone = await engine.run(one, 1);
    expect(together.slice(image * engine.numClasses, (image + 1) * engine.numClasses)).toEqual(alone);
    const { buffer } = engine.trace(one).get(integer.program.output) as Uint32Array;
    expect([...(layout === 'int32' ? new Int32Array(buffer) : new Int16Array(buffer, 0, engine.numClasses))]).toEqual([
      ...alone,
    ]);
  }
  expect(new Set(together).size).toBeGreaterThan(engine.numClasses);
});

test('classifies a picture: preprocessed, ranked, with probabilities that sum to one', async () => {
  const { integer } = await exportedModel('vit-plain');
  const engine = referenceEngine({ ...integer, labels: ['a', 'b', 'c', 'd', 'e'] });
  const image = { width: 12, height: 12, data: Uint8Array.from({ length: 432 }, (_, i) => (i * 37) % 256) };
  const { top } = await engine.classify(image, { top: 99 });
  const logits = await engine.run(preprocess(image, integer.preprocessing), 1);
  expect(top.map(({ index }) => index)).toEqual(
    [0, 1, 2, 3, 4].sort((i, j) => (logits[j] as number) - (logits[i] as number)),
  );
  expect(top.map(({ label }) => label)).toEqual(top.map(({ index }) => 'abcde'[index]));
  expect(top.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
  const [first, second] = top as [RankedClass, RankedClass];
  const difference = ((logits[first.index] as number) - (logits[second.index] as number)) * engine.logitScale;
  expect(first.probability / second.probability).toBeCloseTo(Math.exp(difference), 10);
  expect((await engine.classify(image)).top).toHaveLength(5);
  expect((await engine.classify(image, { top: 2 })).top).toEqual(top.slice(0, 2));
});

test('of classes with one logit the first comes first, and none has a name without labels', () => {
  const { top } = classification(Int32Array.of(-4, 9, 9, -4), 0.5, null, 3);
  expect(top.map(({ index, label }) => [index, label])).toEqual([1, 2, 0].map((index) => [index, null]));
  expect(top[0]?.probability).toBeCloseTo(1 / (2 + 2 * Math.exp(-6.5)), 12);
});
