import { describe, expect, test } from 'vitest';
import { largestSums } from '../../src/format/bounds.ts';
import type { IntegerModel, LinearParameters } from '../../src/format/model.ts';
import type { IntegerCodes } from '../../src/format/program.ts';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { FormatError } from '../../src/io/errors.ts';
import { parseSafetensors } from '../../src/io/safetensors.ts';
import { tinyIntegerModel, type TinyIntegerModelOptions } from '../support/tinyIntegerModel.ts';

const shapes = (bytes: Uint8Array) =>
  Object.fromEntries(
    [...parseSafetensors(bytes, 'm').tensors].map(([name, t]) => [name, `${t.dtype} ${t.shape.join()}`]),
  );

describe('a model comes back as it was and gives the same bytes', () => {
  test.each<[string, Partial<TinyIntegerModelOptions>]>([
    ['2-bit weights', { weightBits: 2 }],
    ['3-bit weights', { weightBits: 3, gelu: 'lut-codes' }],
    ['4-bit weights and activations', { weightBits: 4, activationBits: 4 }],
    ['7-bit weights', { weightBits: 7, softmax: 'shift-fixed', gelu: 'shift-fixed' }],
    ['8-bit weights', { softmax: 'poly', gelu: 'poly' }],
    ['published nonlinearities', { softmax: 'shift', gelu: 'shift', norm: 'published' }],
    ['levels', { after: 'levels', activationBits: 4 }],
    ['levels of 2 bits', { after: 'levels', activationBits: 2, gelu: 'poly' }],
    ['uniform codes after softmax and GELU', { after: 'uniform', softmax: 'shift', gelu: 'shift' }],
    ['patches of 4, one block, no prefix', { patchSize: 4, embedDim: 32, depth: 1, prefixRows: 0 }],
    ['other counts', { embedDim: 20, heads: 5, hiddenDim: 7, numClasses: 3, prefixRows: 2 }],
  ])('%s', (_name, options) => {
    const model = tinyIntegerModel(7, options);
    const bytes = writeModelFile(model);
    const read = readModelFile(bytes, 'm');
    expect(read).toStrictEqual(model);
    expect(writeModelFile(read)).toEqual(bytes);
  });

  test('without labels, without a bias, with logits of int32', () => {
    const model = tinyIntegerModel(3, { depth: 1 });
    const { tensors } = model.program;
    const linear = new Map(model.linear);
    const head = linear.get('head') as LinearParameters;
    linear.set('head', { ...head, bias: null, multipliers: null, shifts: null });
    const logits = { ...(tensors['logits'] as (typeof tensors)[string]), layout: 'int32' as const };
    const program = { ...model.program, tensors: { ...tensors, logits } };
    const changed: IntegerModel = { ...model, labels: null, linear, program };
    expect(readModelFile(writeModelFile(changed), 'm')).toStrictEqual(changed);
  });

  test('from the middle of a buffer', () => {
    const model = tinyIntegerModel(2, { depth: 1 });
    const bytes = writeModelFile(model);
    const buffer = new Uint8Array(bytes.length + 16).fill(255);
    buffer.set(bytes, 5);
    expect(readModelFile(buffer.subarray(5, 5 + bytes.length), 'm')).toStrictEqual(model);
  });
});

describe('a file', () => {
  test('holds each vector of all operations in one tensor, in its dtype', () => {
    // outputs: proj 24, qkv 72, proj 24, fc1 40, fc2 24, head 5
    const bytes = writeModelFile(tinyIntegerModel(1, { weightBits: 4, depth: 1 }));
    expect(shapes(bytes)).toMatchObject({
      'patch_embed.proj.weight': 'U8 2304',
      'blocks.0.attn.qkv.weight': 'U8 864',
      'head.weight': 'U8 60',
      'linear.scales': 'F32 189',
      'linear.multipliers': 'U16 189',
      'linear.shifts': 'U8 189',
      'norm.multipliers': 'I32 72',
      'norm.shifts': 'U8 72',
      'norm.bias': 'I32 72',
      'tokens.values': 'I16 120',
    });
    expect(shapes(writeModelFile(tinyIntegerModel(1, { depth: 1 })))['head.weight']).toBe('I8 5,24');
  });

  test('holds the vectors in the order of the operations', () => {
    const model = tinyIntegerModel(1, { depth: 1 });
    const { tensors } = parseSafetensors(writeModelFile(model), 'm');
    const names = model.program.operations.flatMap(({ kind, name }) => (kind === 'linear' ? [name] : []));
    const scales = names.flatMap((name) => [...(model.linear.get(name) as LinearParameters).scales]);
    expect([...new Float32Array(Uint8Array.from(tensors.get('linear.scales')!.bytes).buffer)]).toEqual(scales);
  });

  test('holds equal tables once', () => {
    const names = Object.keys(shapes(writeModelFile(tinyIntegerModel(1, { depth: 3 }))));
    expect(names.filter((name) => name.startsWith('tables.'))).toEqual(['tables.0', 'tables.1']); // of softmax and of GELU
    const read = readModelFile(writeModelFile(tinyIntegerModel(1, { depth: 3 })), 'm');
    const tables = read.program.operations.flatMap((o) =>
      o.kind === 'softmax' && 'table' in o.constants ? [o.constants.table] : [],
    );
    expect(new Set(tables).size).toBe(1);
  });
});

describe('no file is written', () => {
  const model = tinyIntegerModel(1, { depth: 1 });
  const head = model.linear.get('head') as LinearParameters;
  const withHead = (change: Partial<LinearParameters>): IntegerModel => {
    return { ...model, linear: new Map(model.linear).set('head', { ...head, ...change }) };
  };

  test.each<[string, IntegerModel, string]>([
    [
      'of codes of another length',
      withHead({ codes: head.codes.subarray(1) }),
      'weight of "head" has 119 elements, wanted 120',
    ],
    [
      'of scales of another length',
      withHead({ scales: head.scales.subarray(1) }),
      'linear.scales of "head" has 4 elements, wanted 5',
    ],
    ['of a rescale that is missing', withHead({ multipliers: null }), 'tensor "linear.multipliers" is U16 [184]'],
    [
      'of a scale that is no number',
      withHead({ scales: head.scales.map(() => NaN) }),
      'linear.scales cannot hold NaN in F32',
    ],
    [
      'with parameters of no operation',
      { ...model, norms: new Map(model.norms).set('x', model.norms.get('norm')!) },
      'the map of norms has 4 elements, wanted 3',
    ],
    ['without parameters', { ...model, tokens: new Map() }, 'tokens "pos_embed" has no parameters'],
    [
      'of a multiplier past 16 bits',
      {
        ...model,
        linear: new Map(model.linear).set('blocks.0.attn.qkv', {
          ...(model.linear.get('blocks.0.attn.qkv') as LinearParameters),
          multipliers: new Uint32Array(72).fill(65536 + 16384),
        }),
      },
      'linear.multipliers cannot hold 81920 in U16',
    ],
    [
      'of codes past the width',
      {
        ...model,
        program: {
          ...model.program,
          operations: model.program.operations.map((o) => (o.kind === 'linear' ? { ...o, weightBits: 3 } : o)),
        },
      },
      'outside 3 bits',
    ],
    ['that could not be read', { ...model, labels: ['one'] }, 'the model to write: manifest.labels'],
  ])('%s', (_name, wrong, message) => {
    expect(() => writeModelFile(wrong)).toThrow(message);
  });
});

describe('an accumulator', () => {
  const model = tinyIntegerModel(1, { depth: 1 });
  const head = model.linear.get('head') as LinearParameters;
  const input = model.program.tensors['norm']?.codes as IntegerCodes;
  const room = 2 ** 31 - 1 - largestSums(head.codes.subarray(0, 24), 1, 24, input, null).sum;
  const withBias = (bias: number) => {
    const values = Int32Array.from(head.bias as Int32Array);
    values[0] = bias;
    return { ...model, linear: new Map(model.linear).set('head', { ...head, bias: values }) };
  };

  test.each([1, -1])('is taken up to 2^31 - 1 (sign %i of the bias)', (sign) => {
    const full = withBias(sign * room);
    expect(readModelFile(writeModelFile(full), 'm').linear.get('head')?.bias?.[0]).toBe(sign * room);
    expect(() => writeModelFile(withBias(sign * (room + 1)))).toThrow(FormatError);
    expect(() => writeModelFile(withBias(sign * (room + 1)))).toThrow(
      'linear "head": feature 0 can reach 2147483648 in a 32-bit accumulator, wanted below 2^31',
    );
  });
});
