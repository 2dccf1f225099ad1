import { expect, test } from 'vitest';
import { modelSizes } from '../../src/model/config.ts';
import type { LinearOperation, MatmulOperation, Network, Operation } from '../../src/model/graph.ts';
import { channelTensors, foldingSites } from '../../src/quantize/foldingSites.ts';
import { tinyModel } from '../support/goldenModel.ts';

const { model } = await tinyModel('vit-plain');
const { network } = model;
const config = modelSizes(model.config);

function found(changed: Network): string[] {
  return foldingSites(changed).map((site) => {
    if (site.kind === 'norm') return `norm ${site.name} -> ${site.readers.map(({ name }) => name).join(' ')}`;
    if (site.kind === 'values') return `values ${site.made.name} -> ${site.readers.map(({ name }) => name).join(' ')}`;
    return `keys ${site.keys.name}`;
  });
}

const EVERY = [
  ...Array.from({ length: config.depth }, (_, i) => [
    `norm blocks.${i}.norm1 -> blocks.${i}.attn.qkv`,
    `keys blocks.${i}.qkv`,
    `values blocks.${i}.qkv -> blocks.${i}.attn.proj`,
    `norm blocks.${i}.norm2 -> blocks.${i}.mlp.fc1`,
  ]).flat(),
  'norm norm -> head',
];
const without = (...parts: string[]) => EVERY.filter((site) => !parts.some((part) => site.startsWith(part)));

/** The network with operations of its first block put in the place of each. */
function edited(edit: (operation: Operation) => Operation[], output = 'y'): Network {
  return {
    ...network,
    units: network.units.map((unit) =>
      unit.name === 'blocks.0' ? { ...unit, output, operations: unit.operations.flatMap(edit) } : unit,
    ),
  };
}

/** An operation after `kind` that reads `input` too. */
function alsoRead(kind: Operation['kind'], make: (operation: never) => Operation): Network {
  let done = false;
  return edited((operation) => {
    if (operation.kind !== kind || done) return [operation];
    done = true;
    return [operation, make(operation as never)];
  });
}

const isName = (operation: Operation, name: string) => 'name' in operation && operation.name === `blocks.0.${name}`;

test('every norm, key and value of a ViT, and their channels', () => {
  expect(found(network)).toEqual(EVERY);
  const [, keys, values] = foldingSites(network);
  const { embedDim, heads } = config;
  const channels = Array.from({ length: embedDim }, (_, i) => i);
  if (keys?.kind !== 'keys' || values?.kind !== 'values') throw new Error('other sites');
  expect(keys.heads).toHaveLength(heads);
  expect(keys.heads.flat()).toEqual(channels.map((i) => [i, embedDim + i]));
  expect(values.heads.flat()).toEqual(channels.map((i) => [2 * embedDim + i, i]));
  expect(channelTensors(foldingSites(network)).map(({ name }) => name)).toEqual([
    ...Array.from({ length: config.depth }, (_, i) =>
      ['norm1', 'qkv', 'context', 'norm2'].map((tensor) => `blocks.${i}.${tensor}`),
    ).flat(),
    'head.norm',
  ]);
});

test('both heads of a distilled model read one norm', async () => {
  const distilled = (await tinyModel('vit-distilled')).model.network;
  expect(found(distilled).at(-1)).toBe('norm norm -> head head_dist');
  expect(foldingSites(distilled).at(-1)).toMatchObject({
    outputs: [{ name: 'head.norm' }, { name: 'head.dist_norm' }],
  });
});

const add = (a: string, b: string): Operation => ({ kind: 'add', a, b, output: 'y2', count: 1, scale: 1 });
const product = (name: string, change: Partial<MatmulOperation>): Network =>
  edited((o) => [isName(o, name) ? ({ ...o, ...change } as MatmulOperation) : o]);
const find = (name: string) => network.units[1]!.operations.find((o) => isName(o, name)) as MatmulOperation;

test.each<[string, Network, string[]]>([
  ['a residual that reads a norm', alsoRead('layerNorm', () => add('norm1', 'x')), ['norm blocks.0.norm1']],
  ['a norm that leaves the unit', edited((o) => [o], 'norm1'), ['norm blocks.0.norm1']],
  [
    'a GELU that reads a norm beside the linear layer',
    alsoRead('layerNorm', () => ({ kind: 'gelu', name: 'g', input: 'norm1', output: 'g', count: 1 })),
    ['norm blocks.0.norm1'],
  ],
  ['a residual that reads the context', alsoRead('add', () => add('context', 'x')), ['values blocks.0']],
  ['a residual that reads q, k and v', alsoRead('add', () => add('qkv', 'x')), ['values blocks.0', 'keys blocks.0']],
  ['something else that reads the logits', alsoRead('add', () => add('scores', 'x')), ['keys blocks.0']],
  [
    'a second product that reads the values',
    alsoRead('softmax', () => ({ ...find('attn.pv'), output: { ...find('attn.pv').output, tensor: 'second' } })),
    ['values blocks.0'],
  ],
  [
    'a product of queries and values',
    product('attn.qk', { b: { ...find('attn.qk').b, offset: 2 * config.embedDim } }),
    ['keys blocks.0', 'values blocks.0'],
  ],
  [
    'rows that do not sum to 1: part of a softmax',
    product('attn.pv', { depth: find('attn.pv').depth - 1 }),
    ['values blocks.0'],
  ],
  [
    'columns of a softmax',
    product('attn.pv', { a: { ...find('attn.pv').a, rowStride: 1, columnStride: find('attn.pv').a.rowStride } }),
    ['values blocks.0'],
  ],
  [
    'probabilities of something other than softmax',
    edited((o) => [o.kind === 'softmax' ? { ...o, kind: 'gelu', count: 1 } : o]),
    ['keys blocks.0', 'values blocks.0'],
  ],
  [
    'a softmax over some of the keys',
    edited((o) => [o.kind === 'softmax' ? { ...o, columns: o.columns - 1 } : o]),
    ['keys blocks.0', 'values blocks.0'],
  ],
  [
    'a weight that another layer reads too',
    edited((o) => [isName(o, 'mlp.fc1') ? { ...(o as LinearOperation), weight: 'blocks.1.mlp.fc1.weight' } : o]),
    ['norm blocks.0.norm2', 'norm blocks.1.norm2'],
  ],
  [
    'every second probability',
    product('attn.pv', { a: { ...find('attn.pv').a, columnStride: 2 } }),
    ['values blocks.0'],
  ],
  [
    'rows that begin inside a softmax',
    product('attn.pv', { a: { ...find('attn.pv').a, offset: 1 } }),
    ['values blocks.0'],
  ],
  [
    'values that are not whole rows apart',
    product('attn.pv', { b: { ...find('attn.pv').b, rowStride: 3 * config.embedDim - 1 } }),
    ['values blocks.0', 'keys blocks.0'],
  ],
  ['q, k and v that leave the unit', edited((o) => [o], 'qkv'), ['values blocks.0', 'keys blocks.0']],
  [
    'heads that share channels',
    product('attn.pv', { b: { ...find('attn.pv').b, headStride: 1 } }),
    ['values blocks.0'],
  ],
])('%s is no site', (_what, changed, gone) => {
  expect(found(changed)).toEqual(without(...gone));
});

test('windows of the same channels are one head', () => {
  const { a, b, output, rows, columns } = find('attn.pv');
  const windows = product('attn.pv', {
    heads: 2,
    a: { ...a, headStride: rows * rows },
    b: { ...b, headStride: b.rowStride },
    output: { ...output, headStride: output.rowStride },
  });
  const site = foldingSites(windows).find(({ kind }) => kind === 'values');
  expect(site?.kind === 'values' && site.heads).toEqual([
    Array.from({ length: columns }, (_, i) => [2 * config.embedDim + i, i]),
  ]);
});
