import { describe, expect, test } from 'vitest';
import { setAt } from '../support/editModelFile.ts';
import { block, operation, refusedAfter, refusedWith, tensor, type Path } from '../support/modelFileRefusal.ts';

describe('a member', () => {
  test.each<[Path, unknown, string]>([
    [['architecture', 'depth'], 0, 'manifest.architecture.depth is 0, wanted a number in 1..1048576'],
    [['architecture', 'depth'], 1.5, 'manifest.architecture.depth is 1.5, wanted an integer'],
    [['architecture', 'name'], undefined, 'manifest.architecture.name is missing'],
    [['architecture', 'numClasses'], 6, 'manifest.labels is ["class 0","class 1"'],
    [
      ['preprocessing', 'interpolation'],
      'cubic',
      'manifest.preprocessing.interpolation is "cubic", wanted one of nearest, box, bilinear',
    ],
    [['preprocessing', 'std', 1], 0, 'manifest.preprocessing.std[1] is 0, wanted a positive number'],
    [['preprocessing', 'mean', 2], undefined, 'manifest.preprocessing.mean is [0.5,0.5], wanted 3 numbers'],
    [
      ['preprocessing', 'resizeShortestEdge'],
      { width: 8 },
      'manifest.preprocessing.resizeShortestEdge.height is missing',
    ],
    [['preprocessing', 'width'], 17, 'the preprocessing makes 17 x 16 pixels, the program takes 16 x 16'],
    [['labels'], ['a', 1, 'c', 'd', 'e'], 'manifest.labels[1] is 1, wanted a text'],
    [['labels'], ['a'], 'manifest.labels is ["a"], wanted null or 5 names, one a class, not 1'],
    [['provenance', 'weightsSha256'], 'ABC', 'manifest.provenance.weightsSha256 is "ABC", wanted a SHA-256'],
    [['provenance', 'calibrationImages'], -1, 'manifest.provenance.calibrationImages is -1'],
    [
      ['provenance', 'surprise'],
      1,
      'manifest.provenance.surprise is 1, wanted none of that name here, only weightsSha256',
    ],
    [['surprise'], 1, 'manifest.surprise is 1, wanted none of that name here'],
    [['input'], 7, 'manifest.input is 7, wanted a name'],
    [['input'], '__proto__', 'manifest.input is "__proto__", wanted a name'],
    [['operations'], {}, 'manifest.operations is {}, wanted an array'],
    [operation('head', 'kind'), 'conv', 'manifest.operations[14].kind is "conv", wanted one of patches, linear'],
    [operation('head', 'name'), '1x', 'manifest.operations[14].name is "1x", wanted a name'],
    [operation('head', 'surprise'), 1, 'manifest.operations[14].surprise is 1, wanted none of that name here'],
    [operation('head', 'weightBits'), 9, 'manifest.operations[14].weightBits is 9, wanted a number in 2..8'],
    [operation('head', 'biasBits'), 1, 'manifest.operations[14].biasBits is 1, wanted 0 or an integer in 2..32'],
    [operation('head', 'biasBits'), 33, 'manifest.operations[14].biasBits is 33, wanted a number in 0..32'],
    [
      operation('head', 'outFeatures'),
      2 ** 40,
      'manifest.operations[14].outFeatures is 1099511627776, wanted a number in 1..1048576',
    ],
    [
      operation('head', 'outputs', 0),
      ['logits'],
      'manifest.operations[14].outputs[0] is ["logits"], wanted [tensor, first output feature]',
    ],
    [operation('norm', 'epsilon'), 2 ** 53, 'manifest.operations[13].epsilon is 9007199254740992'],
    [operation('norm', 'form'), 'exact', 'manifest.operations[13].form is "exact", wanted one of fixed, published'],
    [block('attn.softmax', 'factor'), 0, '.factor is 0, wanted a positive number'],
    [block('attn.softmax', 'logitBits'), 17, '.logitBits is 17, wanted a number in 8..16'],
    [block('attn.softmax', 'method'), 'exact', '.method is "exact", wanted one of shift, shift-fixed'],
    [block('attn.softmax', 'table'), 2, '.table is 2, wanted a number of one of the 2 tables'],
    [block('attn.softmax', 'rescales', 0), [5], '.rescales[0] is [5], wanted [multiplier, shift]'],
    [block('attn.softmax', 'rescales', 0, 1), 63, '.rescales[0][1] is 63, wanted a number in 1..62'],
    [
      block('attn.softmax', 'rescales', 1, 0),
      2 ** 31,
      '.rescales[1][0] is 2147483648, wanted a number in 1..2147483647',
    ],
    [block('attn.proj', 'residual', 1), 0, '.residual[1] is 0, wanted a number in 1..2147483647'],
    [block('attn.proj', 'residual', 2), 0, '.residual[2] is 0, wanted a number in 1..62'],
    [block('attn.proj', 'residual', 2), 31, 'the residual: shift 31, wanted 14..30'],
    [block('attn.proj', 'residual', 1), 2 ** 15, 'the residual: multiplier 32768, wanted 16384..32767'],
    [tensor('logits', 0), 'float', 'manifest.tensors.logits[0] is "float", wanted one of pixels, left'],
    [tensor('logits', 3), 0, 'manifest.tensors.logits[3] is 0, wanted a number in 1..1048576'],
    [tensor('logits', 4), [], 'manifest.tensors.logits[4] is [], wanted 1 or 1 scales, one a head'],
    [tensor('logits', 4, 0), -1, 'manifest.tensors.logits[4][0] is -1, wanted a positive number'],
    [tensor('logits', 5), 'uniform', 'wanted 5 items, because int16 holds no codes'],
    [
      tensor('logits', 4),
      undefined,
      'manifest.tensors.logits is ["int16",1,1,5], wanted [layout, heads, rows, columns, scales, ...]',
    ],
    [tensor('a b'), ['int16', 1, 1, 1, [1]], 'wanted other names than "a b"'],
    [tensor('norm', 7), undefined, 'wanted a kind of codes, its bits and shift after the scales'],
    [tensor('norm', 6), 9, 'manifest.tensors.norm[6] is 9, wanted a number in 2..8'],
    [tensor('norm', 7), 1, 'manifest.tensors.norm[7] is 1, wanted a number in 0..0'],
    [
      tensor('norm', 8),
      'nearest',
      'manifest.tensors.norm[8] is "nearest", wanted nothing, because uniform codes have no boundary',
    ],
    [tensor('blocks.0.mlp.gelu', 7), 16, 'gelu[7] is 16, wanted a number in 0..15'],
    [tensor('blocks.0.attn.probs', 8), undefined, 'wanted the boundary of twin-softmax codes'],
    [tensor('blocks.0.attn.probs', 8), 'halfway', 'wanted one of nearest, published'],
  ])('%j set to %j', (path, value, message) => {
    expect(refusedWith(path, value)).toContain(message);
  });

  test('too many elements in a tensor', () => {
    const refused = refusedAfter(({ manifest }) => {
      for (const i of [1, 2, 3]) setAt(manifest, tensor('logits', i), 2 ** 20);
    });
    expect(refused).toContain('wanted at most 268435456 elements');
  });
});
