import { describe, expect, test } from 'vitest';
import type { IntegerModel } from '../../src/format/model.ts';
import type { IntegerCodes, IntegerProgram, LinearOperation } from '../../src/format/program.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { useGpu } from '../support/device.ts';
import { bitsOn } from '../support/expectBits.ts';
import { random } from '../support/codes.ts';
import { exportedModel } from '../support/exportedModel.ts';
import { handModel, linearOf, matrix, UNIFORM_8 } from '../support/handModel.ts';
import { tinyIntegerModel, type TinyIntegerModelOptions } from '../support/tinyIntegerModel.ts';

const shared = useGpu();
const expectBits = bitsOn(shared);

test.each<[string, Partial<TinyIntegerModelOptions>]>([
  ['as published', { softmax: 'shift', gelu: 'shift', norm: 'published' }],
  ['repaired shifts', { softmax: 'shift-fixed', gelu: 'shift-fixed' }],
  ['polynomials', { softmax: 'poly', gelu: 'poly', weightBits: 6, activationBits: 6 }],
  ['tables', { softmax: 'lut', gelu: 'lut', weightBits: 4, numClasses: 6 }],
  ['tables of codes', { gelu: 'lut-codes', prefixRows: 2, hiddenDim: 30 }],
  ['levels after softmax and GELU', { after: 'levels', activationBits: 4, hiddenDim: 30 }],
  ['levels, published', { after: 'levels', softmax: 'shift', gelu: 'shift', norm: 'published' }],
  ['levels of 8 bits, repaired shifts', { after: 'levels', softmax: 'shift-fixed', gelu: 'shift-fixed' }],
  ['levels, polynomials', { after: 'levels', softmax: 'poly', gelu: 'poly', activationBits: 3, prefixRows: 2 }],
  ['uniform codes after softmax and GELU', { after: 'uniform', activationBits: 6 }],
  ['uniform codes, published', { after: 'uniform', softmax: 'shift', gelu: 'shift', norm: 'published' }],
  ['odd sizes', { imageSize: 15, patchSize: 5, embedDim: 36, heads: 3, hiddenDim: 31, numClasses: 7 }],
])('every word between the pixels and the logits: %s', async (_name, overrides) => {
  const model = tinyIntegerModel(11, { depth: 1, ...overrides });
  const { width, height } = model.preprocessing;
  const next = random(5);
  const pixels = Uint8Array.from({ length: 2 * width * height * 3 }, () => Math.floor(256 * next()));
  await expectBits(model, pixels, 2);
});

test.each(['vit-plain', 'vit-distilled'] as const)('every word of an exported %s', async (name) => {
  const { integer, pixels, count } = await exportedModel(name, { weightBits: 8 });
  await expectBits(integer, pixels, count);
});

describe('planted extremes', () => {
  const MOST = 2 ** 31 - 1;
  const black = new Uint8Array(12); // codes of -128
  const white = new Uint8Array(12).fill(255); // codes of 127
  const cut = { kind: 'patches', name: 'cut', input: 'pixels', output: 'patches', patchSize: 2 } as const;
  const inputs = { pixels: matrix('pixels', 2, 2), patches: matrix('left', 1, 12, UNIFORM_8) };
  const row = (code: number, count = 12) => new Array<number>(count).fill(code);
  const linear = (name: string, input: string, output: string, sizes: readonly [number, number]): LinearOperation => ({
    ...{ kind: 'linear', name, input, inFeatures: sizes[0], outFeatures: sizes[1], weightBits: 8 },
    ...{ outputs: [{ tensor: output, first: 0 }], residual: null },
  });

  /** What both give, of a session that also passes the checks of the file. */
  async function logitsOf(model: IntegerModel, pixels: Uint8Array): Promise<number[]> {
    await expectBits(model, pixels, 1);
    return [...(await createReferenceEngine(writeModelFile(model), 'model').run(pixels, 1))];
  }

  const up = MOST - 12 * 128 * 128; // bias that fills the accumulator of weights and codes of -128
  const bottom = -(MOST - 12 * 128 * 127);

  test('accumulators that reach 2^31 - 1 and its negative', async () => {
    const program: IntegerProgram = {
      ...{ input: 'pixels', output: 'logits', tensors: { ...inputs, logits: matrix('int32', 1, 3) } },
      operations: [cut, linear('head', 'patches', 'logits', [12, 3])],
    };
    const model = handModel(program, {
      linear: { head: linearOf([...row(-128), ...row(127), ...row(0)], [up, bottom, MOST]) },
    });
    expect(await logitsOf(model, black)).toEqual([MOST, -MOST, MOST]);
    expect(await logitsOf(model, white)).toEqual([up - 12 * 127 * 128, bottom + 12 * 127 * 127, MOST]);
  });

  test('the same accumulators rescaled into a saturated residual', async () => {
    const one = { multiplier: 2 ** 14, shift: 14 };
    const small = { multiplier: 2 ** 14, shift: 30 }; // 2^31 becomes 2^15, past the last int16
    for (const rescale of [one, small]) {
      const program: IntegerProgram = {
        ...{ input: 'pixels', output: 'sum' },
        tensors: { ...inputs, stream: matrix('int16', 1, 2), sum: matrix('int16', 1, 2) },
        operations: [
          cut,
          linear('first', 'patches', 'stream', [12, 2]),
          { ...linear('second', 'patches', 'sum', [12, 2]), residual: { tensor: 'stream', ...one } },
        ],
      };
      const weights = linearOf([...row(-128), ...row(127)], [up, bottom], rescale);
      const model = handModel(program, { linear: { first: weights, second: weights } });
      expect(await logitsOf(model, black)).toEqual([32767, -32768]);
    }
  });

  test('codes of few bits at both of their ends', async () => {
    for (const bits of [2, 4, 6]) {
      const narrow: IntegerCodes = { kind: 'uniform', bits, shift: 0 };
      const program: IntegerProgram = {
        ...{ input: 'pixels', output: 'logits' },
        tensors: { ...inputs, codes: matrix('left', 1, 2, narrow), logits: matrix('int32', 1, 1) },
        operations: [cut, linear('first', 'patches', 'codes', [12, 2]), linear('head', 'codes', 'logits', [2, 1])],
      };
      const first = linearOf([...row(-128), ...row(127)], [0, 0], { multiplier: 2 ** 14, shift: 17 });
      const model = handModel(program, { linear: { first, head: linearOf([100, 1], [0]) } });
      const q = 2 ** (bits - 1);
      expect(await logitsOf(model, black)).toEqual([100 * (q - 1) - q]);
    }
  });

  test('twin codes at the end of their coarse range fill an accumulator', async () => {
    const twin: IntegerCodes = { kind: 'twin-gelu', bits: 8, shift: 15 };
    const coarse = new Uint32Array(64).fill(0xffffffff); // every input becomes 127 * 2^15
    const left = MOST - 4 * 127 * 2 ** 15 * 128;
    const program: IntegerProgram = {
      ...{ input: 'pixels', output: 'logits' },
      tensors: {
        ...inputs,
        hidden: matrix('left', 1, 4, UNIFORM_8),
        activated: matrix('left', 1, 4, twin),
        logits: matrix('int32', 1, 2),
      },
      operations: [
        cut,
        linear('fc1', 'patches', 'hidden', [12, 4]),
        {
          ...{ kind: 'gelu', name: 'gelu', input: 'hidden', output: 'activated' },
          constants: { method: 'lut-codes', table: coarse },
        },
        linear('fc2', 'activated', 'logits', [4, 2]),
      ],
    };
    const model = handModel(program, {
      linear: {
        fc1: linearOf(row(1, 48), row(0, 4), { multiplier: 2 ** 14, shift: 17 }),
        fc2: linearOf([...row(-128, 4), ...row(127, 4)], [-left, MOST - 4 * 127 * 2 ** 15 * 127]),
      },
    });
    expect(await logitsOf(model, white)).toEqual([-MOST, MOST]);
  });
});
