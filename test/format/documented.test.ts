import { describe, expect, test } from 'vitest';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { random } from '../support/codes.ts';
import { interpretModelFile } from '../support/formatInterpreter.ts';
import { tinyIntegerModel, type TinyIntegerModelOptions } from '../support/tinyIntegerModel.ts';

describe('a program written from docs/format.md alone gives the same logits', () => {
  test.each<[string, Partial<TinyIntegerModelOptions>]>([
    ['tables', { weightBits: 4 }],
    ['polynomials', { softmax: 'poly', gelu: 'poly', weightBits: 3 }],
    ['repaired shifts', { softmax: 'shift-fixed', gelu: 'shift-fixed', activationBits: 6 }],
    ['published shifts', { softmax: 'shift', gelu: 'shift', norm: 'published' }],
    ['levels', { after: 'levels', activationBits: 4, prefixRows: 2 }],
    ['levels of shifts', { after: 'levels', softmax: 'shift', gelu: 'shift', norm: 'published' }],
    ['levels of polynomials', { after: 'levels', softmax: 'poly', gelu: 'poly', hiddenDim: 30 }],
    ['uniform codes everywhere', { after: 'uniform', softmax: 'shift-fixed', gelu: 'shift-fixed' }],
    ['tables of codes', { gelu: 'lut-codes', shift: 5, prefixRows: 2 }],
  ])('%s', async (_name, options) => {
    for (const seed of [1, 2, 3]) {
      const file = writeModelFile(tinyIntegerModel(seed, options));
      const next = random(seed);
      const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, () => Math.floor(256 * next()));
      const logits = await createReferenceEngine(file).run(pixels, 1);
      expect(interpretModelFile(file, pixels).map(Number)).toEqual([...logits]);
    }
  });
});
