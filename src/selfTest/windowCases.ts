import { attentionBiasI32, attentionBiasI32Kernel } from '../kernels/attentionBiasI32.ts';
import { dyadic } from '../kernels/dyadic.ts';
import { fillWords, gatherWords, gatherWordsKernel, NO_ROW } from '../kernels/gatherWords.ts';
import { meanRowsI16, meanRowsI16Kernel } from '../kernels/meanRowsI16.ts';
import { attentionBiasI32Reference } from '../reference/attentionBiasI32.ts';
import { packRowMajor } from '../reference/codes.ts';
import { packInt16 } from '../reference/fixedPoint.ts';
import { gatherWordsReference } from '../reference/gatherWords.ts';
import { meanRowsI16Reference } from '../reference/meanRowsI16.ts';
import { exactCase, integers, type SelfTestCase } from './case.ts';

/** The integer-only kernels of windowed attention, patch merging and pooling. */
export function windowCases(): SelfTestCase[] {
  return [gatherCase(), biasCase(), meanCase('codes'), meanCase('int16')];
}

function gatherCase(): SelfTestCase {
  const shape = { images: 3, sourceRows: 23, rows: 29, words: 5, ...fillWords(-3, 18) };
  const source = Uint32Array.from(integers(3 * 23 * 5, 31, 0, 2 ** 24));
  const indices = Uint32Array.from(integers(29, 32, -5, 22), (index) => (index < 0 ? NO_ROW : index));
  const expected = gatherWordsReference(source, indices, shape);
  return exactCase(gatherWordsKernel.name, { source, indices }, expected, (device, buffers, y) =>
    gatherWords(device, { ...buffers, y }, shape),
  );
}

function biasCase(): SelfTestCase {
  const shape = { images: 2, windows: 3, heads: 2, tokens: 5, entries: 9 };
  const { heads, tokens, entries, windows } = shape;
  const huge = (seed: number) => (value: number, i: number) => (i % 7 === seed ? 2 ** 31 - 1 - Math.abs(value) : value);
  const scores = Int32Array.from(integers(2 * windows * heads * tokens ** 2, 33, -(2 ** 20), 2 ** 20), huge(1));
  const index = Uint32Array.from(integers(tokens ** 2, 34, 0, entries - 1));
  const values = Int32Array.from(integers(heads * entries, 35, -(2 ** 21), 2 ** 21), huge(2));
  const regions = Uint32Array.from(integers(windows * tokens, 36, 0, 1));
  const expected = attentionBiasI32Reference(scores, { index, values, regions }, shape);
  return exactCase(
    attentionBiasI32Kernel.name,
    { scores, index, values, regions },
    new Uint32Array(expected.buffer),
    (device, buffers, y) => attentionBiasI32(device, { ...buffers, y }, shape),
  );
}

function meanCase(output: 'codes' | 'int16'): SelfTestCase {
  const [images, rows, features] = [2, 19, 67];
  const x = Int16Array.from(integers(images * rows * features, 37, -32768, 32767));
  const rescale = output === 'codes' ? dyadic(0.01 / rows, 8) : dyadic(3 / rows, 'int16');
  const shape = { images, features, first: 2, bias: 4321, output, ...rescale };
  const means = meanRowsI16Reference(x, shape);
  return exactCase(
    meanRowsI16Kernel.name,
    { x: packInt16(x, features) },
    output === 'codes' ? packRowMajor(means, images, features) : packInt16(means, features),
    (device, buffers, y) => meanRowsI16(device, { ...buffers, y }, { ...shape, rows }),
    output,
  );
}
