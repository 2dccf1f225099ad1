import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import { twinshift } from '../support/command.ts';
import { TINY_CONFIG, tinyTensors, writeImages, writeModel } from '../support/tinyModel.ts';

let folder: string;
let good: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'twinshift-model-'));
  good = writeModel(join(folder, 'good'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the good model with other bytes as its weights. */
function modelWith(name: string, weights: Uint8Array): string {
  const model = join(folder, name);
  cpSync(good, model, { recursive: true });
  writeFileSync(join(model, 'model.safetensors'), weights);
  return model;
}

/** The good weights with the JSON text of their header changed. */
function withHeader(change: (header: string) => string): Uint8Array {
  const bytes = readFileSync(join(good, 'model.safetensors'));
  const length = Number(bytes.readBigUInt64LE());
  const header = Buffer.from(change(bytes.toString('utf8', 8, 8 + length).trimEnd()));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, bytes.subarray(8 + length)]);
}

/** The good weights with one tensor replaced, or left out where `tensor` is undefined. */
function withTensor(name: string, tensor: Partial<TensorToWrite> | undefined): Uint8Array {
  const tensors = tinyTensors().flatMap((t) => (t.name !== name ? [t] : tensor ? [{ ...t, ...tensor }] : []));
  return writeSafetensors(tensors);
}

/** Runs a command that must end with code 2, nothing on stdout and one line on stderr; that line. */
async function refusal(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await twinshift(args);
  expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }, stderr).toEqual({
    code: 2,
    stdout: '',
    lines: 1,
  });
  expect(stderr).toMatch(/^twinshift: /);
  return stderr;
}

test('a good model is described', async () => {
  const { code, stdout } = await twinshift(['inspect', good]);
  expect(code).toBe(0);
  expect(stdout).toContain('blocks.0.mlp.fc2');
  const json = JSON.parse((await twinshift(['inspect', good, '--json', '--weight-bits', '4'])).stdout) as {
    parameters: number;
    macs: number;
    layers: { name: string; b: { bits: number } }[];
  };
  expect(json.parameters).toBe(tinyTensors().reduce((sum, { data }) => sum + data.byteLength / 4, 0));
  expect(json.layers.map(({ name, b }) => [name, b.bits])).toEqual([
    ['patch_embed', 8],
    ['blocks.0.attn.qkv', 4],
    ['blocks.0.attn.qk', 8],
    ['blocks.0.attn.pv', 8],
    ['blocks.0.attn.proj', 4],
    ['blocks.0.mlp.fc1', 4],
    ['blocks.0.mlp.fc2', 4],
    ['head', 8],
  ]);
  // 4 patches of 768, 5 tokens of 16 features, 2 heads of 8, 10 classes
  const block = 5 * 16 * 48 + 2 * 5 * 8 * 5 * 2 + 5 * 16 * 16 + 2 * 5 * 16 * 64;
  expect(json.macs).toBe(4 * 768 * 16 + block + 16 * 10);
});

test('a folder or file that is not there is named', async () => {
  expect(await refusal(['inspect', join(folder, 'none')])).toContain(`${join(folder, 'none')} does not exist`);
  expect(await refusal(['inspect', join(good, 'config.json')])).toContain('is a file, not a folder');
  for (const file of ['config.json', 'model.safetensors']) {
    const model = join(folder, `without-${file}`);
    cpSync(good, model, { recursive: true });
    rmSync(join(model, file));
    expect(await refusal(['inspect', model])).toContain(`${file} does not exist; a model folder holds config.json and`);
  }
});

test.each<[string, () => Uint8Array, RegExp]>([
  ['empty', () => new Uint8Array(), /model\.safetensors.* 0 bytes/],
  ['truncated', () => readFileSync(join(good, 'model.safetensors')).subarray(0, -5), /model\.safetensors/],
  ['cut inside its header', () => readFileSync(join(good, 'model.safetensors')).subarray(0, 100), /header/],
  [
    'of a header length beyond the file',
    () => Buffer.concat([Buffer.from('ffffffffffff0f00', 'hex'), Buffer.alloc(64)]),
    /header/,
  ],
  [
    'of 2^53 sizes',
    () => withHeader((h) => h.replace('"shape":[10]', '"shape":[9007199254740992]')),
    /9007199254740992/,
  ],
  [
    'of a huge product of sizes',
    () => withHeader((h) => h.replace('"shape":[10]', '"shape":[4294967296,4294967296,4294967296]')),
    /4294967296/,
  ],
  ['with negative offsets', () => withHeader((h) => h.replace(/"data_offsets":\[0,/, '"data_offsets":[-4,')), /-4/],
  [
    'with overlapping offsets',
    () =>
      withHeader((h) =>
        h.replace(
          /"data_offsets":\[(\d\d+),(\d+)\]/,
          (_, a, b) => `"data_offsets":[${Number(a) - 4},${Number(b) - 4}]`,
        ),
      ),
    /overlap|gap|expected|begin|offset/i,
  ],
  ['of an unknown dtype', () => withHeader((h) => h.replace('"F32"', '"F31"')), /F31/],
  [
    'of integers',
    () => withTensor('head.bias', { dtype: 'I32', data: new Int32Array(10) }),
    /"head\.bias" has dtype I32/,
  ],
  [
    'without a tensor',
    () => withTensor('blocks.0.mlp.fc1.bias', undefined),
    /missing tensor blocks\.0\.mlp\.fc1\.bias \[64\]/,
  ],
  [
    'with a misshapen tensor',
    () => withTensor('head.bias', { shape: [2, 5] }),
    /"head\.bias" has shape \[2, 5\], expected \[10\]/,
  ],
  [
    'with a NaN',
    () => withTensor('head.bias', { data: new Float32Array(10).fill(NaN, 7, 8) }),
    /"head\.bias" holds NaN at element 7 of 10/,
  ],
  [
    'with an infinity',
    () => withTensor('norm.weight', { data: new Float32Array(16).fill(-Infinity, 3, 4) }),
    /"norm\.weight" holds -Infinity at element 3/,
  ],
])('weights %s are refused', async (name, weights, message) => {
  expect(await refusal(['inspect', modelWith(`weights ${name}`, weights())])).toMatch(message);
});

test.each<[string, unknown, RegExp]>([
  [
    'architecture',
    { ...TINY_CONFIG, architecture: 'swinv2_tiny_window8_256' },
    /architecture is "swinv2_tiny_window8_256", wanted a ViT, DeiT/,
  ],
  ['sizes', { ...TINY_CONFIG, model_args: { ...TINY_CONFIG.model_args, num_heads: 3 } }, /3 heads do not divide/],
  ['document', [], /config\.json: the document must be a JSON object/],
])('a config.json of another %s is refused', async (name, config, message) => {
  expect(await refusal(['inspect', writeModel(join(folder, `config ${name}`), tinyTensors(), config)])).toMatch(
    message,
  );
});

test('every command that reads a model refuses a bad one before it asks for a GPU', async () => {
  const model = modelWith('bad', new Uint8Array(3));
  const env = { VK_ICD_FILENAMES: '/nonexistent.json', VK_DRIVER_FILES: '/nonexistent.json' };
  const images = join(folder, 'images');
  await writeImages(images, 32);
  const common = ['--images', images];
  const quantize = await twinshift(['quantize', model, ...common, '--out', join(folder, 'out')], { env });
  const evaluate = await twinshift(['evaluate', model, ...common], { env });
  for (const { code, stderr } of [quantize, evaluate]) {
    expect(code).toBe(2);
    expect(stderr).toContain('model.safetensors');
  }
});
