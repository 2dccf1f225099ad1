import { describe, expect, test } from 'vitest';
import type { IntegerModel, LinearParameters } from '../../src/format/model.ts';
import type { IntegerTensor } from '../../src/format/program.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { editModelFile, setAt } from '../support/editModelFile.ts';
import { block, messageOf, tensor, type Path } from '../support/modelFileRefusal.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

describe('levels', () => {
  test('a softmax of levels with too few rescales of them, or one past its form', () => {
    const bytes = writeModelFile(tinyIntegerModel(1, { depth: 1, after: 'levels' }));
    const after = (...edits: [Path, unknown][]) =>
      messageOf(
        editModelFile(bytes, ({ manifest }) => {
          for (const [path, value] of edits) setAt(manifest, path, value);
        }),
      );
    expect(after([block('attn.softmax', 'codeRescales', 1), undefined])).toContain('1 rescales, wanted 2, one a head');
    expect(after([block('attn.softmax', 'codeRescales', 1, 1), 47])).toContain('head 1: shift 47, wanted 1..46');
    expect(after([block('attn.softmax', 'codeRescales', 0, 0), 3])).toContain('head 0: multiplier 3, wanted 16384..');
    const values = block('attn.merged', 'bias');
    expect(after([values, [1]])).toContain('product "blocks.0.attn.merged": 1 biases, wanted 2, one a head');
    expect(after([[...values, 1], 2 ** 31])).toContain('bias[1] is 2147483648, wanted a number in');
    expect(after([[...values, 1], 2 ** 31 - 1])).toMatch(/can reach \d+ in a 32-bit accumulator/);
    expect(after([block('attn.scores', 'bias'), [1, 2]])).toContain('an output of int32 takes no bias');
    expect(after([block('mlp.gelu', 'multiplier'), 3])).toContain('multiplier 3 must be 16384..32767');
    // 1045 weights of 127 times a level of 16256 pass 2^31
    const model = tinyIntegerModel(1, { depth: 1, after: 'levels', hiddenDim: 1045 });
    const { scales, multipliers, shifts, bias } = model.linear.get('blocks.0.mlp.fc2') as LinearParameters;
    const codes = new Int8Array(24 * 1045).fill(127);
    const linear = new Map(model.linear).set('blocks.0.mlp.fc2', { codes, scales, multipliers, shifts, bias });
    const gelu = model.program.tensors['blocks.0.mlp.gelu'] as IntegerTensor;
    const levels = [0, 1, 16256];
    const tensors = { ...model.program.tensors, 'blocks.0.mlp.gelu': { ...gelu, codes: { ...gelu.codes, levels } } };
    const past = { ...model, linear, program: { ...model.program, tensors } } as IntegerModel;
    expect(() => writeModelFile(past)).toThrow(/linear "blocks.0.mlp.fc2": feature \d+ can reach 21\d{8} in a 32-bit/);
  });

  test.each<[unknown, string]>([
    [undefined, 'wanted the levels of levels-softmax codes'],
    [5, '[8] is 5, wanted an array'],
    [[], '[8] is [], wanted 1..16 levels, not 0'],
    [Array.from({ length: 17 }, (_, i) => i), 'wanted 1..16 levels, not 17'],
    [[0, 16384], '[8][1] is 16384, wanted a number in 0..16383'],
    [[-1, 0], '[8][0] is -1, wanted a number in 0..16383'],
    [[0, 1.5], '[8][1] is 1.5, wanted an integer'],
    [[0, 3, 3], '[8][2] is 3, wanted an integer above 3, the level before it'],
    [[0, 3, 2], '[8][2] is 2, wanted an integer above 3, the level before it'],
  ])('levels %j', (levels, message) => {
    const bytes = writeModelFile(tinyIntegerModel(1, { depth: 1, after: 'levels', activationBits: 4 }));
    const changed = editModelFile(bytes, ({ manifest }) => setAt(manifest, tensor('blocks.0.attn.probs', 8), levels));
    expect(messageOf(changed)).toContain(message);
  });

  test('levels of another shift, or outside those of GELU', () => {
    const bytes = writeModelFile(tinyIntegerModel(1, { depth: 1, after: 'levels', activationBits: 4 }));
    const after = (path: Path, value: unknown) =>
      messageOf(editModelFile(bytes, ({ manifest }) => setAt(manifest, path, value)));
    expect(after(tensor('blocks.0.attn.probs', 7), 6)).toContain('[7] is 6, wanted a number in 7..7');
    expect(after(tensor('blocks.0.mlp.gelu', 8), [-128, 0])).toContain(
      '[8][0] is -128, wanted a number in -127..16256',
    );
    expect(after(tensor('blocks.0.mlp.gelu', 8), [0, 16257])).toContain('is 16257, wanted a number in -127..16256');
    expect(after(tensor('blocks.0.mlp.gelu', 9), 1)).toContain('wanted a kind of codes');
    const other = ['left', 2, 5, 5, [1], 'levels-gelu', 4, 7, [0, 1]];
    expect(after(tensor('blocks.0.attn.probs'), other)).toContain('wanted twin-softmax or levels-softmax');
  });
});
