import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../src/format/readModelFile.ts';
import type { IntegerModel, LinearParameters } from '../../src/format/model.ts';
import type { IntegerTensor } from '../../src/format/program.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { FormatError } from '../../src/io/errors.ts';
import { editModelFile, setAt, valueAt, type OpenModelFile } from '../support/editModelFile.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

const good = writeModelFile(tinyIntegerModel(1, { depth: 1, weightBits: 4 }));

function messageOf(bytes: Uint8Array): string {
  try {
    readModelFile(bytes, 'tiny.safetensors');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    const { message } = error as FormatError;
    expect(message).toMatch(/^tiny\.safetensors/);
    return message;
  }
  throw new Error('the file was read');
}

type Path = readonly (string | number)[];
const refusedAfter = (edit: (file: OpenModelFile) => void) => messageOf(editModelFile(good, edit));
const refusedWith = (path: Path, value: unknown) => refusedAfter(({ manifest }) => setAt(manifest, path, value));
const operation = (name: string, ...rest: Path): Path => ['operations', name, ...rest];
const block = (name: string, ...rest: Path): Path => operation(`blocks.0.${name}`, ...rest);
const tensor = (name: string, ...rest: Path): Path => ['tensors', name, ...rest];

test('the file itself is fine, changed back or not at all', () => {
  expect(() => readModelFile(good, 'm')).not.toThrow();
  expect(editModelFile(good, () => undefined)).toEqual(good);
});

describe('the container', () => {
  test.each<[string, Partial<Record<'format' | 'version' | 'manifest' | 'more', string | undefined>>, string]>([
    ['another format', { format: 'pt' }, 'the format is "pt", wanted "twinshift-model"'],
    ['no format', { format: undefined }, 'the format is missing'],
    [
      'a later version',
      { version: '3' },
      'the version is "3", this program reads "2" only. Export the model again or use the program that wrote it.',
    ],
    ['the version before', { version: '1' }, 'the version is "1", this program reads "2" only.'],
    ['no version', { version: undefined }, 'the version is missing'],
    ['no manifest', { manifest: undefined }, 'the metadata holds no manifest'],
    ['other metadata', { more: 'x' }, 'the metadata holds "more", which version 2 does not know'],
    ['a manifest that is no JSON', { manifest: '{' }, 'the manifest is not JSON'],
    ['a manifest that is no object', { manifest: '[]' }, 'manifest is [], wanted an object'],
    ['a key twice', { manifest: '{"input":"a","input":"b"}' }, 'the manifest names "input" twice'],
    [
      'a manifest nested too deeply',
      { manifest: `${'['.repeat(50_000)}${']'.repeat(50_000)}` },
      'manifest is a value nested too deeply',
    ],
  ])('%s', (_name, changes, message) => {
    const refused = refusedAfter(({ metadata }) => {
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) Reflect.deleteProperty(metadata, key);
        else metadata[key] = value;
      }
    });
    expect(refused).toContain(message);
  });

  test('a truncated file, at any length', () => {
    for (const length of [0, 7, 8, 100, good.length >> 1, good.length - 1]) {
      expect(messageOf(good.subarray(0, length))).toMatch(/bytes/);
    }
    expect(messageOf(good.subarray(0, good.length - 1))).toContain('truncated');
  });
});

describe('a member', () => {
  test.each<[Path, unknown, string]>([
    [['architecture', 'depth'], 0, 'manifest.architecture.depth is 0, wanted a number in 1..1048576'],
    [['architecture', 'depth'], 1.5, 'manifest.architecture.depth is 1.5, wanted an integer'],
    [['architecture', 'name'], undefined, 'manifest.architecture.name is missing'],
    [['architecture', 'numClasses'], 6, 'manifest.labels is ["class 0","class 1"'],
    [
      ['preprocessing', 'interpolation'],
      'cubic',
      'manifest.preprocessing.interpolation is "cubic", wanted one of box, bilinear',
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

describe('the program', () => {
  const moved =
    (name: string, by: number) =>
    ({ manifest }: OpenModelFile) => {
      const list = valueAt(manifest, ['operations']) as { name: string }[];
      const at = list.findIndex((item) => item.name === name);
      list.splice(at + by, 0, ...list.splice(at, 1));
    };

  test.each<[string, (file: OpenModelFile) => void, string]>([
    [
      'reads too early',
      moved('blocks.0.norm1', -1),
      'layerNorm "blocks.0.norm1" reads "tokens" before any operation has written it',
    ],
    [
      'leaves out an operation',
      ({ manifest }) => setAt(manifest, ['operations', 14], undefined),
      'tensor "norm" is read by no operation and is not the output',
    ],
    [
      'writes twice',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'blocks.0.norm2'),
      'layerNorm "norm" writes "blocks.0.norm2", which has been written already',
    ],
    [
      'writes its input',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'pixels'),
      'layerNorm "norm" writes "pixels", which has been written already',
    ],
    [
      'names what is not there',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'toString'),
      'layerNorm "norm" names the tensor "toString", which is not declared',
    ],
    [
      'reads what is not there',
      ({ manifest }) => setAt(manifest, operation('norm', 'input'), 'nowhere'),
      'layerNorm "norm" names the tensor "nowhere"',
    ],
    [
      'has an operation twice',
      ({ manifest }) => setAt(manifest, operation('norm', 'name'), 'head'),
      'two operations are called "head"',
    ],
    [
      'has a tensor that nobody writes',
      ({ manifest }) => setAt(manifest, tensor('more'), ['int16', 1, 1, 1, [1]]),
      'tensor "more" is written by no operation',
    ],
    [
      'makes what nobody reads',
      ({ manifest }) => setAt(manifest, ['output'], 'tokens'),
      'tensor "logits" is read by no operation and is not the output',
    ],
    [
      'begins with something else',
      ({ manifest }) => setAt(manifest, ['input'], 'tokens'),
      'the input "tokens" has layout int16 and 1 heads, wanted pixels and 1',
    ],
    [
      'ends with its input',
      ({ manifest }) => setAt(manifest, ['output'], 'pixels'),
      'tensor "logits" is read by no operation',
    ],
    [
      'has an input that is not declared',
      ({ manifest }) => setAt(manifest, ['input'], 'image'),
      'the program names the tensor "image", which is not declared',
    ],
  ])('%s', (_name, edit, message) => {
    expect(refusedAfter(edit)).toContain(message);
  });

  test('ends with codes, or with several rows', () => {
    const shorter =
      (output: string) =>
      ({ manifest }: OpenModelFile) => {
        const list = valueAt(manifest, ['operations']) as { output?: string; outputs?: [string][] }[];
        const end = list.findIndex((o) => o.output === output || o.outputs?.[0]?.[0] === output);
        const dropped = list.splice(end + 1);
        for (const { output: one, outputs = [] } of dropped) {
          for (const name of [...(one === undefined ? [] : [one]), ...outputs.map(([first]) => first)])
            setAt(manifest, tensor(name), undefined);
        }
        setAt(manifest, ['output'], output);
      };
    expect(refusedAfter(shorter('norm'))).toContain('the output "norm" has layout left, wanted int16 or int32');
    expect(refusedAfter(shorter('blocks.0.x2'))).toContain(
      'the output "blocks.0.x2" has 1 heads of 5 rows, wanted one row of logits',
    );
  });
});

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
