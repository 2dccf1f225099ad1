import { describe, expect, test } from 'vitest';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { editModelFile, setAt } from '../support/editModelFile.ts';
import { block, messageOf, operation, refusedAfter, tensor, type Path } from '../support/modelFileRefusal.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

describe('an operation', () => {
  test.each<[string, readonly (readonly [Path, unknown])[], string]>([
    [
      'patches of another size',
      [[operation('patches', 'patchSize'), 5]],
      'patches "patches": an image of 16 x 16 is no multiple of its patches of 5',
    ],
    [
      'patches in another shape',
      [[operation('patches', 'patchSize'), 4]],
      'patches "patches": "patches" is left [1][4][192], wanted left [1][16][48]',
    ],
    ['patches of 7 bits', [[tensor('patches', 6), 7]], '"patches" has codes of 7 bits, wanted 8'],
    [
      'a linear input of other features',
      [[operation('head', 'inFeatures'), 25]],
      'linear "head": "norm" is left [1][1][24], wanted left [1][1][25]',
    ],
    [
      'a linear input that is no left operand',
      [[operation('head', 'input'), 'tokens']],
      '"tokens" is int16 [1][5][24], wanted left [1][5][24]',
    ],
    [
      'an output of other rows',
      [[tensor('embedded', 2), 3]],
      'linear "patch_embed.proj": "embedded" has 3 rows, the input 4',
    ],
    [
      'outputs with a gap',
      [[block('attn.qkv', 'outputs', 1, 1), 25]],
      '"blocks.0.attn.k" takes output features from 25 on, wanted from 24 on',
    ],
    [
      'outputs that overlap',
      [[block('attn.qkv', 'outputs', 2, 1), 47]],
      '"blocks.0.attn.v" takes output features from 47 on, wanted from 48 on',
    ],
    [
      'outputs that are too few',
      [[operation('head', 'outFeatures'), 6]],
      'linear "head": its outputs take 5 of 6 output features',
    ],
    [
      'outputs of two classes',
      [[tensor('blocks.0.attn.k'), ['int16', 2, 5, 12, [1]]]],
      'linear "blocks.0.attn.qkv": its outputs are codes and int16, wanted one of these',
    ],
    [
      'an output of twin codes',
      [[tensor('blocks.0.attn.q', 5), 'twin-gelu']],
      '"blocks.0.attn.q" holds twin-gelu codes, wanted uniform',
    ],
    ['an output of pixels', [[tensor('logits', 0), 'pixels']], '"logits" is of pixels, which only the input is'],
    [
      'a residual of another shape',
      [[block('attn.proj', 'residual', 0), 'embedded']],
      'linear "blocks.0.attn.proj": "embedded" is int16 [1][4][24], wanted int16 [1][5][24]',
    ],
    [
      'a residual of codes',
      [[block('attn.proj', 'residual', 0), 'blocks.0.norm1']],
      '"blocks.0.norm1" is left [1][5][24], wanted int16 [1][5][24]',
    ],
    [
      'a residual onto codes',
      [[block('attn.qkv', 'residual'), ['tokens', 5, 5]]],
      'a residual needs one int16 output, it has 3 of codes',
    ],
    [
      'a product of another depth',
      [
        [tensor('blocks.0.attn.k', 3), 11],
        [block('attn.qkv', 'outputs', 2, 1), 46],
        [block('attn.qkv', 'outFeatures'), 70],
      ],
      'product "blocks.0.attn.scores": "blocks.0.attn.k" is right-transposed [2][5][11], wanted right-transposed [2][5][12]',
    ],
    [
      'a product of other heads',
      [
        [tensor('blocks.0.attn.k', 1), 1],
        [tensor('blocks.0.attn.k', 3), 24],
        [tensor('blocks.0.attn.k', 4), [1]],
      ],
      '"blocks.0.attn.k" is right-transposed [1][5][24], wanted right-transposed [2][5][12]',
    ],
    [
      'a product of two left operands',
      [[tensor('blocks.0.attn.k', 0), 'left']],
      '"blocks.0.attn.k" is left [2][5][12], wanted right [2][12][12]',
    ],
    [
      'a product into another shape',
      [[tensor('blocks.0.attn.scores', 3), 6]],
      '"blocks.0.attn.scores" is int32 [2][5][6], wanted int32 [2][5][5]',
    ],
    [
      'heads that cannot lie side by side',
      [
        [tensor('blocks.0.attn.v', 3), 10],
        [block('attn.qkv', 'outFeatures'), 68],
        [tensor('blocks.0.attn.merged', 3), 20],
      ],
      'product "blocks.0.attn.merged": heads of 10 columns cannot lie side by side in left: wanted a multiple of 4',
    ],
    [
      'rescales of an int32 output',
      [
        [
          block('attn.scores', 'rescales'),
          [
            [16384, 20],
            [16384, 20],
          ],
        ],
      ],
      'an output of int32 takes no rescales',
    ],
    ['no rescales of codes', [[block('attn.merged', 'rescales'), undefined]], 'an output of codes needs rescales'],
    ['too few rescales', [[block('attn.merged', 'rescales', 1), undefined]], '1 rescales, wanted 2, one a head'],
    [
      'a rescale to codes with a short multiplier',
      [[block('attn.merged', 'rescales', 1, 0), 16383]],
      'head 1: multiplier 16383, wanted 16384..32767',
    ],
    [
      'a rescale to codes with a long multiplier',
      [[block('attn.merged', 'rescales', 0, 0), 32768]],
      'head 0: multiplier 32768, wanted 16384..32767',
    ],
    [
      'a rescale to codes by a short shift',
      [[block('attn.merged', 'rescales', 0, 1), 16]],
      'head 0: shift 16, wanted 17..46',
    ],
    [
      'a rescale to codes by a long shift',
      [[block('attn.merged', 'rescales', 0, 1), 47]],
      'head 0: shift 47, wanted 17..46',
    ],
    [
      'a product past 32 bits',
      [[tensor('blocks.0.attn.probs', 7), 15]],
      'product "blocks.0.attn.merged": shift 15 at depth 5 can reach 2663383040 in a 32-bit accumulator, wanted below 2^31',
    ],
    [
      'tokens of another count',
      [[operation('pos_embed', 'prefixRows'), 2]],
      'tokens "pos_embed": "tokens" is int16 [1][5][24], wanted int16 [1][6][24]',
    ],
    [
      'tokens in two scales',
      [[tensor('embedded', 4, 0), 1]],
      'tokens "pos_embed": "embedded" has scale 1 and "tokens" 0.0004882961516159551, wanted the same',
    ],
    ['a row past the last', [[operation('norm', 'row'), 5]], 'layerNorm "norm": row 5 of 5 rows'],
    [
      'a norm of all rows into one',
      [[operation('norm', 'row'), undefined]],
      '"norm" is left [1][1][24], wanted left [1][5][24]',
    ],
    [
      'a published norm with an epsilon',
      [[operation('norm', 'form'), 'published']],
      'layerNorm "norm": epsilon 1713, wanted 0 in the published form',
    ],
    [
      'a norm of codes',
      [[operation('norm', 'input'), 'blocks.0.norm2']],
      '"blocks.0.norm2" is left [1][5][24], wanted int16 [1][5][24]',
    ],
    [
      'a softmax into codes of GELU',
      [[tensor('blocks.0.attn.probs'), ['left', 2, 5, 5, [1], 'twin-gelu', 8, 0]]],
      'softmax "blocks.0.attn.softmax": "blocks.0.attn.probs" holds twin-gelu codes, wanted twin-softmax or levels-softmax',
    ],
    [
      'a softmax into uniform codes without their rescales',
      [[tensor('blocks.0.attn.probs'), ['left', 2, 5, 5, [1], 'uniform', 8, 0]]],
      'softmax "blocks.0.attn.softmax": an output of uniform codes needs codeRescales',
    ],
    [
      'a softmax into twin codes with rescales of others',
      [
        [
          block('attn.softmax', 'codeRescales'),
          [
            [16384, 20],
            [16384, 20],
          ],
        ],
      ],
      'softmax "blocks.0.attn.softmax": an output of twin-softmax codes takes no codeRescales',
    ],
    [
      'a norm into levels',
      [[tensor('blocks.0.norm1'), ['left', 1, 5, 24, [1], 'levels-gelu', 8, 7, [0, 1]]]],
      'layerNorm "blocks.0.norm1": "blocks.0.norm1" holds levels-gelu codes, wanted uniform',
    ],
    [
      'a softmax of too few rescales',
      [[block('attn.softmax', 'rescales', 1), undefined]],
      '1 rescales, wanted 2, one a head',
    ],
    [
      'constants of softmax past their range',
      [[block('attn.softmax', 'multiplierShift'), 63]],
      `softmax "blocks.0.attn.softmax": integer softmax 'lut' for 5 columns: multiplier`,
    ],
    [
      'too few octaves of softmax',
      [
        [block('attn.softmax', 'multiplier'), undefined],
        [block('attn.softmax', 'multiplierShift'), undefined],
        [block('attn.softmax', 'table'), undefined],
        [block('attn.softmax', 'method'), 'shift-fixed'],
        [block('attn.softmax', 'unit'), 1],
        [block('attn.softmax', 'fraction'), 1],
        [block('attn.softmax', 'octaves'), 1],
      ],
      'n = 1 must be 13..27 for unit 1',
    ],
    [
      'a GELU into another shape',
      [[block('mlp.gelu', 'input'), 'blocks.0.norm2']],
      'gelu "blocks.0.mlp.gelu": "blocks.0.mlp.gelu" is left [1][5][40], wanted left [1][5][24]',
    ],
    [
      'members of another method',
      [[block('mlp.gelu', 'method'), 'lut-codes']],
      '.places is 7, wanted none of that name here, only kind, name, input, output, method, table',
    ],
    [
      'constants of GELU past their range',
      [[block('mlp.gelu', 'places'), 9]],
      `gelu "blocks.0.mlp.gelu": integer GELU 'lut' of 16-bit codes: entries 2^9 codes apart`,
    ],
    [
      'other classes than logits',
      [
        [['architecture', 'numClasses'], 6],
        [['labels'], null],
      ],
      'the architecture has 6 classes, the program 5 logits',
    ],
  ])('%s', (_name, edits, message) => {
    const refused = refusedAfter(({ manifest }) => {
      for (const [path, value] of edits) setAt(manifest, path, value);
    });
    expect(refused).toContain(message);
  });

  test('more features than a norm can sum', () => {
    const refused = refusedAfter(({ manifest }) => {
      for (const name of ['embedded', 'tokens']) setAt(manifest, tensor(name, 3), 4097);
      setAt(manifest, operation('patch_embed.proj', 'outFeatures'), 4097);
    });
    expect(refused).toContain('layerNorm "blocks.0.norm1": 4097 features, at most 4096 fit its sums');
  });

  test('a GELU of narrow or twin codes', () => {
    const bytes = writeModelFile(tinyIntegerModel(1, { depth: 1, gelu: 'lut-codes' }));
    const bits = editModelFile(bytes, ({ manifest }) => setAt(manifest, tensor('blocks.0.mlp.fc1', 6), 7));
    expect(messageOf(bits)).toContain(
      'gelu "blocks.0.mlp.gelu": "blocks.0.mlp.fc1" is uniform codes of 7 bits in left, wanted int16 or uniform codes of 8 bits',
    );
    const narrow = editModelFile(bytes, ({ manifest }) => setAt(manifest, tensor('blocks.0.mlp.gelu', 6), 7));
    expect(messageOf(narrow)).toMatch(/code \d+ of its table is \d+, outside the 7 bits of "blocks.0.mlp.gelu"/);
    const wide = editModelFile(bytes, ({ manifest }) => {
      setAt(manifest, tensor('blocks.0.mlp.fc1'), ['int16', 1, 5, 40, [1]]);
    });
    expect(messageOf(wide)).toContain(`integer GELU 'lut-codes' of 16-bit codes: a table of codes needs 8-bit codes`);
  });
});
