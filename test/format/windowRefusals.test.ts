import { describe, expect, test } from 'vitest';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { editModelFile, setAt, valueAt, type OpenModelFile } from '../support/editModelFile.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { messageOf, operation, tensor, type Path } from '../support/modelFileRefusal.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';

const swin = writeModelFile((await exportedNetwork(PADDED_SWIN, { count: 1 })).integer);
const vit = writeModelFile((await exportedNetwork(POOLED_VIT, { count: 1 })).integer);
const block = (name: string, ...rest: Path) => operation(`layers.0.blocks.1.${name}`, ...rest);
const blockTensor = (name: string, ...rest: Path) => tensor(`layers.0.blocks.1.${name}`, ...rest);

type Edits = readonly (readonly [Path, unknown])[];

function refused(file: Uint8Array, edits: Edits, more: (file: OpenModelFile) => void = () => undefined): string {
  return messageOf(
    editModelFile(file, (open) => {
      for (const [path, value] of edits) setAt(open.manifest, path, value);
      more(open);
    }),
  );
}

/** Changes one word of the table that a member of an operation names. */
const changed =
  (place: Path, at: number, value: number) =>
  ({ manifest, tensors }: OpenModelFile) => {
    const name = `tables.${String(valueAt(manifest, place))}`;
    const data = Uint8Array.from(tensors.get(name)!.data as Uint8Array);
    new DataView(data.buffer).setUint32(4 * at, value, true);
    tensors.set(name, { ...tensors.get(name)!, data });
  };

describe('windows', () => {
  test.each<[string, Edits, string]>([
    [
      'of a product into none',
      [[blockTensor('scores', 1), 2]],
      'product "layers.0.blocks.1.attn.qk": "layers.0.blocks.1.scores" is int32 [2][9][9], wanted int32 [9][2][9][9]',
    ],
    [
      'of another number',
      [[blockTensor('attn.qk.b', 1), [8, 2]]],
      '"layers.0.blocks.1.attn.qk.b" has 72 rows, the input 81',
    ],
    ['of one', [[blockTensor('scores', 1), [1, 2]]], '[1][0] is 1, wanted a number in 2..1048576'],
    ['of three sizes', [[blockTensor('scores', 1), [9, 2, 1]]], 'wanted heads or [windows, heads]'],
    [
      'of a norm',
      [[blockTensor('norm2', 1), [2, 1]]],
      '"layers.0.blocks.1.norm2" is left [2][1][49][16], wanted left [1][49][16]',
    ],
    ['of the logits', [[tensor('head.logits', 1), [2, 1]]], 'the input 1'],
  ])('%s', (_name, edits, message) => {
    expect(refused(swin, edits)).toContain(message);
  });

  test('too many elements in all of them', () => {
    expect(refused(swin, [[blockTensor('scores', 1), [2 ** 20, 2 ** 20]]])).toContain('at most 268435456 elements');
  });

  test('in a file of version 2', () => {
    const older = ({ metadata }: OpenModelFile) => (metadata['version'] = '2');
    expect(refused(swin, [], older)).toContain('the version is "2", which does not know windows, as of the tensor');
    expect(refused(vit, [], older)).toContain('which does not know such a layerNorm as "blocks.0.attn.q_norm"');
  });
});

describe('a gather of rows', () => {
  const partition = block('windowed');
  test.each<[string, Edits, string]>([
    [
      'into other codes',
      [[tensor('layers.0.blocks.1.windowed', 6), 7]],
      '"layers.0.blocks.1.windowed" has other codes than "layers.0.blocks.1.norm1"',
    ],
    ['into another scale', [[blockTensor('windowed', 4), [1]]], 'and "layers.0.blocks.1.windowed" 1, wanted the same'],
    [
      'into other columns',
      [[blockTensor('windowed', 3), 24]],
      'has 24 columns, wanted a multiple of the 16 of "layers.0.blocks.1.norm1"',
    ],
    ['into other rows', [[blockTensor('windowed', 2), 80]], '81 indices, wanted 80'],
    ['of twin codes', [[[...partition, 'input'], 'layers.0.blocks.0.gelu']], 'is twin-gelu left, wanted int16 or'],
    ['with no code of 0', [[[...partition, 'fill'], 128]], 'a fill of 128, wanted -128..127'],
    ['of 16 bits with another 0', [[block('residual', 'fill'), 1]], 'a fill of 1, wanted 0..0'],
    ['with another table', [[[...partition, 'indices'], 99]], 'wanted a number of one of the'],
  ])('%s', (_name, edits, message) => {
    expect(refused(swin, edits)).toContain(message);
  });

  test('past the rows of its input', () => {
    expect(refused(swin, [], changed([...partition, 'indices'], 3, 49))).toContain('row 49 of 49 rows');
  });
});

describe('an attention bias', () => {
  const bias = block('attn.bias');
  test.each<[string, Edits, string]>([
    ['of more entries', [[[...bias, 'entries'], 26]], 'tensor "attentionBias.values" is I32'],
    ['of fewer entries', [[[...bias, 'entries'], 24]], 'entry 24 of 24 entries'],
    ['in another scale', [[blockTensor('biased', 4), [1]]], 'wanted the same'],
    ['into another shape', [[blockTensor('biased', 3), 8]], 'wanted int32 [9][2][9][9]'],
  ])('%s', (_name, edits, message) => {
    expect(refused(swin, edits)).toContain(message);
  });

  test.each([
    ['index', 'an index of 49 pairs, wanted 81'],
    ['regions', 'regions of 49 tokens, wanted 81'],
  ])('with an %s of another length', (member, message) => {
    const table = ({ manifest }: OpenModelFile) => {
      setAt(manifest, [...bias, member], valueAt(manifest, block('residual', 'indices'))); // 49 entries
    };
    expect(refused(swin, [], table)).toContain(message);
  });
});

describe('a mean of rows', () => {
  const mean = operation('head.token');
  test.each<[string, Edits, string]>([
    ['from past the last row', [[[...mean, 'first'], 52]], 'rows from 52 on of 52 rows'],
    ['of codes by a rescale of 16 bits', [[[...mean, 'rescale', 1], 16]], 'the mean: shift 16, wanted 17..46'],
    ['with a bias past 32 bits', [[[...mean, 'bias'], 2 ** 31 - 1]], 'its sum can reach 2149089279, wanted below 2^31'],
    ['without a rescale', [[[...mean, 'rescale'], undefined]], 'wanted an array'],
    ['into another shape', [[tensor('head.token', 2), 2]], 'wanted left [1][1][16]'],
  ])('%s', (_name, edits, message) => {
    expect(refused(vit, edits)).toContain(message);
  });
});

describe('a norm of heads', () => {
  test.each<[string, Edits, string]>([
    [
      'of one row',
      [[operation('blocks.0.attn.q_norm', 'row'), 0]],
      'row 0 alone into "blocks.0.attn.qk.a", wanted rows of codes',
    ],
    ['of an odd number of features', [[tensor('blocks.0.attn.qk.a', 1), 16]], 'wanted'],
    ['of other rows', [[tensor('blocks.0.attn.qk.a', 2), 51]], 'wanted left [2][52][8]'],
  ])('%s', (_name, edits, message) => {
    expect(refused(vit, edits)).toContain(message);
  });
});
