import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import type { Model } from '../../src/model/load.ts';
import { loadModelFiles, shardNames } from '../../src/model/modelFiles.ts';
import { loadModelFolder } from '../../src/node/modelFolder.ts';
import { inLayout, randomTensors } from '../../bench/support/checkpointLayouts.ts';
import { loadFrom, tinySwin } from '../support/checkpoints.ts';

type Files = Map<string, Uint8Array>;

const swin = tinySwin();
const { config, processor, tensors } = inLayout(swin, randomTensors(swin, 7), 'Hugging Face');
const bytesOf = (value: unknown) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const hash = (value: Uint8Array | string) => createHash('sha256').update(value).digest('hex');

const SHARDS = [
  'model-00001-of-00003.safetensors',
  'model-00002-of-00003.safetensors',
  'model-00003-of-00003.safetensors',
];

/** The checkpoint dealt round to three shards. */
function sharded(): Files {
  const files: Files = new Map([
    ['config.json', bytesOf(config)],
    ['preprocessor_config.json', bytesOf(processor)],
  ]);
  SHARDS.forEach((name, s) => files.set(name, writeSafetensors(tensors.filter((_, i) => i % 3 === s))));
  const map = Object.fromEntries(tensors.map(({ name }, i) => [name, SHARDS[i % 3]]));
  return files.set('model.safetensors.index.json', bytesOf({ metadata: { total_size: 1 }, weight_map: map }));
}

function load(files: Files, reads: string[] = []): Promise<Model> {
  return loadModelFiles({
    names: new Set(files.keys()),
    read: (name) => {
      reads.push(name);
      return Promise.resolve(files.get(name) as Uint8Array);
    },
    path: (name) => `m/${name}`,
  });
}

describe('shards', () => {
  test('make the same model; the hash is that of their hashes', async () => {
    const files = sharded();
    const reads: string[] = [];
    const model = await load(files, reads);
    const whole = await loadFrom(swin, 'Hugging Face');
    expect(model.parameters).toEqual(whole.parameters);
    expect(reads.slice(-3)).toEqual(SHARDS);
    const sums = SHARDS.map((name) => `${hash(files.get(name) as Uint8Array)}  ${name}\n`);
    expect(model.weightsSha256).toBe(hash(sums.join('')));
    expect(whole.weightsSha256).toBe(hash(writeSafetensors(tensors)));
  });

  test('a file that holds all tensors comes before an index', async () => {
    const files = sharded().set('model.safetensors', writeSafetensors(tensors));
    expect((await load(files)).weightsSha256).toBe(hash(writeSafetensors(tensors)));
  });

  test('a missing one is named', async () => {
    const files = sharded();
    files.delete(SHARDS[1] as string);
    await expect(load(files)).rejects.toThrow(
      `m/${SHARDS[1]} does not exist; m/model.safetensors.index.json names 3 files`,
    );
  });

  test('one that was cut off, or that lacks tensors, is named', async () => {
    const files = sharded();
    const cut = files.get(SHARDS[2] as string) as Uint8Array;
    await expect(load(new Map(files).set(SHARDS[2] as string, cut.subarray(0, -4)))).rejects.toThrow(`m/${SHARDS[2]}`);
    const fewer = writeSafetensors(tensors.filter((_, i) => i % 3 === 2 && i > 2));
    await expect(load(new Map(files).set(SHARDS[2] as string, fewer))).rejects.toThrow(
      /^m\/model\.safetensors\.index\.json: missing tensor swin\.\S+ \[[\d, ]+\]\./,
    );
  });

  test('a tensor in two of them is refused', async () => {
    const files = sharded();
    const twice = writeSafetensors(tensors.filter((_, i) => i % 3 === 2 || i === 0));
    await expect(load(files.set(SHARDS[2] as string, twice))).rejects.toThrow(
      `m/${SHARDS[2]}: tensor "${tensors[0]?.name}" is in m/${SHARDS[0]} too`,
    );
  });

  test.each([
    ['a broken index', '{', 'i.json is not JSON'],
    ['no map', '{}', 'i.json: weight_map must be a JSON object'],
    ['an empty map', '{"weight_map":{}}', 'i.json: weight_map names no file'],
    ['a number', '{"weight_map":{"a":3}}', 'i.json: weight_map.a is 3, wanted a text'],
    [
      'a way out of the folder',
      '{"weight_map":{"a":"../b.safetensors"}}',
      'weight_map.a is "../b.safetensors", wanted',
    ],
    ['an absolute path', '{"weight_map":{"a":"/b.safetensors"}}', 'weight_map.a is "/b.safetensors", wanted'],
    ['a hidden file', '{"weight_map":{"a":".b.safetensors"}}', 'weight_map.a is ".b.safetensors", wanted'],
    ['pickles', '{"weight_map":{"a":"b.bin"}}', 'wanted the name of a .safetensors file'],
  ])('refuses %s', (_what, json, message) => {
    expect(() => shardNames(json, 'i.json')).toThrow(FormatError);
    expect(() => shardNames(json, 'i.json')).toThrow(message);
  });
});

describe('pickles', () => {
  const only = (...names: string[]): Files =>
    new Map(['config.json', ...names].map((name) => [name, new Uint8Array()]));

  test.each(['pytorch_model.bin', 'checkpoint.pth', 'best.pt', 'last.ckpt', 'model.pth.tar'])(
    '%s is refused with the way to convert it',
    async (name) => {
      const loading = load(only('training_args.bin', name));
      await expect(loading).rejects.toThrow(FormatError);
      await expect(loading).rejects.toThrow(
        /^m\/\S+ is a PyTorch pickle, which can run code .*python3 -c "import torch, /,
      );
    },
  );

  test('the weights are named rather than what lies beside them', async () => {
    await expect(load(only('arguments.bin', 'optimizer.pt', 'pytorch_model.bin'))).rejects.toThrow(
      "m/pytorch_model.bin is a PyTorch pickle, which can run code when it is opened; only safetensors is read. Convert it beside it: python3 -c \"import torch, safetensors.torch as s; d = torch.load('pytorch_model.bin', 'cpu', weights_only=True)",
    );
  });

  test('is left alone beside safetensors', async () => {
    const files = sharded().set('pytorch_model.bin', new Uint8Array());
    expect((await load(files)).config.family).toBe('swin');
  });
});

test('files that are missing are named', async () => {
  await expect(load(new Map())).rejects.toThrow('m/config.json does not exist; a model folder holds');
  await expect(load(new Map([['config.json', bytesOf('{}')]]))).rejects.toThrow('m/model.safetensors does not exist');
  const files = sharded();
  files.delete('preprocessor_config.json');
  await expect(load(files)).rejects.toThrow('m/config.json is one of Hugging Face, which says nothing about images');
});

describe('folders', () => {
  const root = mkdtempSync(join(tmpdir(), 'twinshift-folders-'));
  afterAll(() => rmSync(root, { recursive: true }));

  test('hold shards as well', async () => {
    const folder = join(root, 'sharded');
    mkdirSync(folder);
    for (const [name, bytes] of sharded()) writeFileSync(join(folder, name), bytes);
    expect((await loadModelFolder(folder)).parameters.size).toBeGreaterThan(20);
    rmSync(join(folder, SHARDS[0] as string));
    await expect(loadModelFolder(folder)).rejects.toThrow(`${join(folder, SHARDS[0] as string)} does not exist`);
  });

  test('that are no folders are refused', async () => {
    await expect(loadModelFolder(join(root, 'none'))).rejects.toThrow('none does not exist');
    writeFileSync(join(root, 'file'), '');
    await expect(loadModelFolder(join(root, 'file'))).rejects.toThrow('is a file, not a folder');
  });
});
