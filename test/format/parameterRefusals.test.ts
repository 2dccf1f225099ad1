import { describe, expect, test } from 'vitest';
import { editModelFile, setAt, valueAt, type OpenModelFile } from '../support/editModelFile.ts';
import { good, operation, refusedAfter } from '../support/modelFileRefusal.ts';

describe('a parameter tensor', () => {
  const replaced = (name: string, change: (data: DataView<ArrayBuffer>) => void) =>
    refusedAfter(({ tensors }) => {
      const old = tensors.get(name)!;
      const data = Uint8Array.from(old.data as Uint8Array);
      change(new DataView(data.buffer));
      tensors.set(name, { ...old, data });
    });

  test.each<[string, string, (data: DataView) => void, string]>([
    [
      'a scale of 0',
      'linear.scales',
      (d) => d.setFloat32(0, 0, true),
      'linear "patch_embed.proj": the weight scale of feature 0 is 0, wanted a positive number',
    ],
    [
      'a negative scale',
      'linear.scales',
      (d) => d.setFloat32(4 * 25, -1, true),
      'linear "blocks.0.attn.qkv": the weight scale of feature 1 is -1',
    ],
    [
      'an infinite scale',
      'linear.scales',
      (d) => d.setFloat32(4 * 188, Infinity, true),
      'linear "head": the weight scale of feature 4 is Infinity',
    ],
    [
      'a scale that is no number',
      'linear.scales',
      (d) => d.setFloat32(8, NaN, true),
      'the weight scale of feature 2 is NaN',
    ],
    [
      'a short multiplier to codes',
      'linear.multipliers',
      (d) => d.setUint16(48, 16383, true),
      'linear "blocks.0.attn.qkv": feature 0: multiplier 16383, wanted 16384..32767',
    ],
    [
      'a long multiplier to codes',
      'linear.multipliers',
      (d) => d.setUint16(50, 32768, true),
      'feature 1: multiplier 32768, wanted 16384..32767',
    ],
    [
      'a multiplier of 0',
      'linear.multipliers',
      (d) => d.setUint16(0, 0, true),
      'linear "patch_embed.proj": feature 0: multiplier 0, wanted 16384..32767',
    ],
    [
      'a multiplier of 16 bits',
      'linear.multipliers',
      (d) => d.setUint16(2, 32768, true),
      'linear "patch_embed.proj": feature 1: multiplier 32768, wanted 16384..32767',
    ],
    [
      'a shift of 0',
      'linear.shifts',
      (d) => d.setUint8(0, 0),
      'linear "patch_embed.proj": feature 0: shift 0, wanted 1..46',
    ],
    ['a long shift', 'linear.shifts', (d) => d.setUint8(188, 47), 'linear "head": feature 4: shift 47, wanted 1..46'],
    [
      'a short shift to codes',
      'linear.shifts',
      (d) => d.setUint8(24, 16),
      'linear "blocks.0.attn.qkv": feature 0: shift 16, wanted 17..46',
    ],
    [
      'a long shift to codes',
      'linear.shifts',
      (d) => d.setUint8(95, 47),
      'linear "blocks.0.attn.qkv": feature 71: shift 47, wanted 17..46',
    ],
    [
      'a norm by 2^31',
      'norm.multipliers',
      (d) => d.setInt32(0, -(2 ** 31), true),
      'layerNorm "blocks.0.norm1": feature 0: multiplier -2147483648, wanted above -2^31',
    ],
    [
      'a norm without a shift',
      'norm.shifts',
      (d) => d.setUint8(71, 0),
      'layerNorm "norm": feature 23: shift 0, wanted 1..62',
    ],
    [
      'a norm of a long shift',
      'norm.shifts',
      (d) => d.setUint8(24, 63),
      'layerNorm "blocks.0.norm2": feature 0: shift 63, wanted 1..62',
    ],
    [
      'a norm of a large bias',
      'norm.bias',
      (d) => d.setInt32(0, 2 ** 29, true),
      'feature 0: bias 536870912, wanted -536870911..536870911',
    ],
    [
      'a norm of a large negative bias',
      'norm.bias',
      (d) => d.setInt32(4, -(2 ** 29), true),
      'feature 1: bias -536870912',
    ],
    [
      'a table of large entries',
      'tables.0',
      (d) => d.setUint32(0, 2 ** 30, true),
      `softmax "blocks.0.attn.softmax": integer softmax 'lut' for 5 columns: entries`,
    ],
  ])('%s', (_title, name, change, message) => {
    expect(replaced(name, change)).toContain(message);
  });

  test('set bits after the last packed integer', () => {
    // 5 biases in whole bits: the last byte of the file's biases ends with padding
    const bits = valueAt(JSON.parse(manifestOf(good)), operation('head', 'biasBits')) as number;
    expect((5 * bits) % 8).not.toBe(0);
    expect(replaced('linear.bias', (d) => d.setUint8(d.byteLength - 1, 255))).toContain(
      'bias of head: the bits after the last of 5 integers',
    );
  });

  test.each<[string, (file: OpenModelFile) => void, string]>([
    ['missing', ({ tensors }) => tensors.delete('linear.shifts'), 'tensor "linear.shifts" is missing, wanted U8 [189]'],
    [
      'missing weight',
      ({ tensors }) => tensors.delete('head.weight'),
      'tensor "head.weight" is missing, wanted U8 [60]',
    ],
    [
      'unknown',
      ({ tensors }) => tensors.set('extra', { name: 'extra', dtype: 'U8', shape: [1], data: new Uint8Array(1) }),
      'no operation takes the tensor "extra"',
    ],
    [
      'unknown table',
      ({ tensors }) =>
        tensors.set('tables.2', { name: 'tables.2', dtype: 'U32', shape: [1], data: new Uint32Array(1) }),
      'no operation takes the tensor "tables.2"',
    ],
    [
      'table after a gap',
      ({ tensors }) =>
        tensors.set('tables.7', { name: 'tables.7', dtype: 'U32', shape: [1], data: new Uint32Array(1) }),
      'no operation takes the tensor "tables.7"',
    ],
    [
      'table of the wrong length',
      ({ tensors }) =>
        tensors.set('tables.0', { name: 'tables.0', dtype: 'U32', shape: [255], data: new Uint32Array(255).fill(1) }),
      'the table needs 256 entries, it has 255',
    ],
    [
      'GELU table of the wrong length',
      ({ tensors }) =>
        tensors.set('tables.1', { name: 'tables.1', dtype: 'U32', shape: [257], data: new Uint32Array(257) }),
      'gelu "blocks.0.mlp.gelu": integer GELU \'lut\' of 16-bit codes: the table needs 256 entries, it has 257',
    ],
    [
      'table of another dtype',
      ({ tensors }) => tensors.set('tables.0', { ...tensors.get('tables.0')!, dtype: 'I32' }),
      'tensor "tables.0" is I32 of 1 dimensions, wanted U32 of 1',
    ],
    [
      'of another dtype',
      ({ tensors }) => tensors.set('linear.bias', { ...tensors.get('linear.bias')!, dtype: 'I8' }),
      'tensor "linear.bias" is I8 [',
    ],
    [
      'of another shape',
      ({ tensors }) => tensors.set('linear.shifts', { ...tensors.get('linear.shifts')!, shape: [189, 1] }),
      'tensor "linear.shifts" is U8 [189, 1], but its operations need U8 [189]',
    ],
    [
      'of another width',
      ({ manifest }) => setAt(manifest, operation('head', 'weightBits'), 8),
      'tensor "head.weight" is U8 [60], but its operations need I8 [5, 24]',
    ],
    ['too long', ({ manifest }) => setAt(manifest, operation('head', 'biasBits'), 0), 'tensor "linear.bias" is U8 ['],
  ])('%s', (_title, edit, message) => {
    expect(refusedAfter(edit)).toContain(message);
  });
});

function manifestOf(bytes: Uint8Array): string {
  let text = '';
  editModelFile(bytes, ({ metadata }) => (text = metadata['manifest'] as string));
  return text;
}
