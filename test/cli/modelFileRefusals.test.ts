import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { json, NAMES, refusal, quantizedModel } from '../support/quantizedModel.ts';
import { tinyTensors, TINY_CONFIG, writeModel } from '../support/tinyModel.ts';

const { folder, model, images, recipe, file, two } = await quantizedModel();

test('without an adapter every command says what runs without one', async () => {
  const labels = join(folder, 'labels.csv');
  const all = readdirSync(images).filter((name) => name.endsWith('.png'));
  writeFileSync(labels, ['file,label', ...all.map((name) => `${name},0`), ''].join('\n'));
  expect(await refusal(['classify', file, ...two], 1)).toMatch(/no WebGPU adapter.*slowly: --adapter none\./);
  const evaluate = ['evaluate', file, '--images', images, '--labels', labels];
  expect(await refusal(evaluate, 1)).toMatch(/no WebGPU adapter.*slowly: --runtime reference\./);
  expect(await refusal([...evaluate, '--against', model, '--runtime', 'reference'], 1)).toMatch(/no WebGPU adapter/);
  expect(await refusal(['bench', file], 1)).toMatch(/no WebGPU adapter/);
});

/** A file beside the model file, made of its bytes. */
function spoiled(name: string, change: (bytes: Buffer) => Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, change(readFileSync(file)));
  return path;
}

test('a model file that is missing, a folder, truncated, of another kind or version is refused by every command', async () => {
  const png = () => readFileSync(two[0]);
  const bad: [string, RegExp][] = [
    [join(folder, 'none.safetensors'), /none\.safetensors does not exist/],
    [spoiled('cut.safetensors', (bytes) => bytes.subarray(0, -7)), /cut\.safetensors/],
    [spoiled('empty.safetensors', () => new Uint8Array()), /empty\.safetensors.* 0 bytes/],
    [spoiled('picture.safetensors', png), /picture\.safetensors/],
    [join(model, 'model.safetensors'), /model\.safetensors.*(twinshift|manifest|model file)/],
    [join(recipe, 'weights.safetensors'), /weights\.safetensors.*(twinshift|manifest|model file)/],
    [spoiled('newer.safetensors', newer), /newer\.safetensors.*version/],
  ];
  for (const [path, message] of bad) {
    for (const args of [
      ['classify', path, ...two],
      ['evaluate', path, '--images', images, '--against', model],
      ['bench', path],
    ]) {
      expect(await refusal(args), args[0]).toMatch(message);
    }
  }
  for (const command of [
    ['classify', recipe, ...two],
    ['bench', recipe],
  ]) {
    expect(await refusal(command)).toMatch(/w8 is a folder; .*export makes a model\.twinshift\.safetensors/);
  }
});

/** The format's version raised where the manifest states it. */
function newer(bytes: Buffer): Uint8Array {
  const text = bytes.toString('latin1');
  const at = text.search(/version/);
  const digit = at + text.slice(at).search(/\d/);
  return Buffer.from(`${text.slice(0, digit)}9${text.slice(digit + 1)}`, 'latin1');
}

test('what is meant for the other kind of model is refused with the way to it', async () => {
  expect(await refusal(['inspect', file])).toContain('is a file, not a folder');
  expect(await refusal(['quantize', file, '--images', images, '--count', '8', '--out', join(folder, 'q')])).toContain(
    'is a file, not a folder',
  );
  expect(await refusal(['export', file, '--out', join(folder, 'e')])).toContain('is a file, not a folder');
  expect(await refusal(['export', model, '--out', join(folder, 'e')])).toContain('recipe.json does not exist');
  const folderCase = ['evaluate', model, '--images', images];
  expect(await refusal([...folderCase, '--runtime', 'mixed'])).toContain('--runtime is for a model file');
  expect(await refusal([...folderCase, '--against', model])).toContain('--against is for a model file');
  const fileCase = ['evaluate', file, '--images', images];
  expect(await refusal(fileCase)).toContain('give --labels <file>, --against <model>, or both');
  expect(await refusal([...fileCase, '--recipe', recipe])).toContain('needs its float model too: --against <model>');
  expect(await refusal([...fileCase, '--against', file])).toContain('is a file, not a folder');
  expect(await refusal(['evaluate', join(folder, 'none'), '--images', images])).toContain('none does not exist');
});

test('a float model or recipe that the file was not made from is refused', async () => {
  const config = { ...TINY_CONFIG, label_names: NAMES };
  const other = writeModel(join(folder, 'other'), tinyTensors(2), config);
  for (const args of [
    ['bench', file],
    ['evaluate', file, '--images', images],
  ]) {
    expect(await refusal([...args, '--against', other])).toMatch(/made from a model\.safetensors with SHA-256 \w{12}/);
  }
  const cfg = { ...TINY_CONFIG.pretrained_cfg, crop_pct: 1 };
  const crop = writeModel(join(folder, 'crop'), tinyTensors(), { ...config, pretrained_cfg: cfg });
  expect(await refusal(['bench', file, '--against', crop])).toMatch(/prepares images as .*give the config\.json/);
  const out = join(folder, 'w7');
  await json(['quantize', model, '--images', images, '--count', '8', '--weight-bits', '7', '--out', out]);
  const against = ['evaluate', file, '--images', images, '--against', model, '--recipe', out];
  expect(await refusal(against)).toMatch(/made from a recipe\.json with SHA-256/);
});

test('an image that is missing, of another kind or broken ends classify by name', async () => {
  const text = join(folder, 'words.jpg');
  writeFileSync(text, 'no picture');
  const cut = join(folder, 'cut.png');
  writeFileSync(cut, readFileSync(two[0]).subarray(0, 500));
  const good = two[0];
  expect(await refusal(['classify', file, good, text])).toMatch(/words\.jpg: not a JPEG, PNG or WebP image/);
  expect(await refusal(['classify', file, good, cut])).toMatch(/cut\.png: .*cannot be decoded/);
  expect(await refusal(['classify', file, good, join(folder, 'none.png')])).toMatch(/none\.png does not exist/);
  expect(await refusal(['classify', file, images])).toMatch(/images is a folder, not a file/);
});

test('an output that is there, a folder, an input or nowhere is refused before any work', async () => {
  const out = join(folder, 'there.safetensors');
  writeFileSync(out, 'mine');
  expect(await refusal(['export', recipe, '--out', out])).toContain(
    'exists; give another file, or --force to replace it',
  );
  expect(readFileSync(out, 'utf8')).toBe('mine');
  expect(await refusal(['export', recipe, '--out', images, '--force'])).toContain('is a folder; name a file in it');
  expect(await refusal(['export', recipe, '--out', recipe, '--force'])).toContain(`would replace ${recipe}`);
  const input = join(recipe, 'recipe.json');
  expect(await refusal(['export', recipe, '--out', input, '--force'])).toContain(`would replace ${input}`);
  expect(await refusal(['export', recipe, '--out', join(out, 'in')])).toContain(`${out} is a file, not a folder`);
  expect(await refusal(['export', recipe, '--out', '/proc/self/x'], 1)).toMatch(/may not be written to/);
  const deep = join(folder, 'deep', 'er', 'm.safetensors');
  await json(['export', recipe, '--out', deep]);
  expect(readFileSync(deep).equals(readFileSync(file))).toBe(true);
  for (const place of [out, file]) await json(['export', recipe, '--out', place, '--force']);
  expect(readFileSync(out).equals(readFileSync(file))).toBe(true);
});

test('a recipe of another version or with spoiled weights is not exported', async () => {
  const out = join(folder, 'never.safetensors');
  const copy = join(folder, 'copy');
  cpSync(recipe, copy, { recursive: true });
  const text = readFileSync(join(copy, 'recipe.json'), 'utf8');
  writeFileSync(join(copy, 'recipe.json'), text.replace('"version": 4', '"version": 3'));
  expect(await refusal(['export', copy, '--out', out])).toMatch(/version is 3, wanted 4/);
  writeFileSync(join(copy, 'recipe.json'), text);
  const weights = readFileSync(join(copy, 'weights.safetensors'));
  writeFileSync(join(copy, 'weights.safetensors'), weights.subarray(0, -1));
  expect(await refusal(['export', copy, '--out', out])).toContain(join(copy, 'weights.safetensors'));
  expect(existsSync(out)).toBe(false);
});

test.each([
  [['classify', 'm'], '<image...> is missing\nRun: twinshift classify --help'],
  [['classify', 'm', 'a.png', ''], '<image...> must not be empty'],
  [['classify', 'm', 'a.png', '--top', '0'], '--top must be an integer in 1..100000, got "0"'],
  [
    ['classify', 'm', 'a.png', '--adapter', 'non'],
    '--adapter must be one of auto, none, got "non"; did you mean none?',
  ],
  [
    ['evaluate', 'm', '--images', 'i', '--runtime', 'int'],
    '--runtime must be one of integer, mixed, reference, got "int"',
  ],
  [['export', 'r'], '--out <file> is missing'],
  [
    ['export', 'r', '--out', 'o', '--format', 'onx'],
    '--format must be one of twinshift, onnx, onnx-float, safetensors-qdq, got "onx"; did you mean onnx?',
  ],
  [
    ['export', 'r', '--out', 'o', '--format', 'onnx', '--nonlinear', 'lut'],
    '--nonlinear is for --format twinshift: onnx has float softmax, GELU and LayerNorm',
  ],
  [['export', 'r', '--out', 'o', '--format', 'safetensors-qdq'], '--format safetensors-qdq needs --model <model>'],
  [['export', 'r', '--out', 'o', '--model', 'm'], '--model is for --format safetensors-qdq\n'],
  [
    ['export', 'r', '--out', 'o', '--format', 'onnx-float', '--model', 'm'],
    '--model is for --format safetensors-qdq; give it in the place of <recipe>',
  ],
  [
    ['export', 'r', '--out', 'o', '--nonlinear', 'shft'],
    '--nonlinear must be one of auto, shift, shift-fixed, poly, lut, got "shft"',
  ],
  [
    ['export', 'r', '--out', 'o', '--nonlinear', 'gelo=lut'],
    '--nonlinear must name one of softmax, gelu, norm, got "gelo"; did you mean gelu?',
  ],
  [['export', 'r', '--out', 'o', '--nonlinear', 'gelu=lut,gelu=poly'], '--nonlinear names gelu twice'],
  [['export', 'r', '--out', 'o', '--nonlinear', 'gelu='], '--nonlinear gelu must be one of auto'],
  [['bench', 'm', '--batch', '0'], '--batch must be an integer in 1..64, got "0"'],
  [['bench', 'm', '--batch', '8,65'], '--batch must be an integer in 1..64, got "65"'],
  [['bench', 'm', '--batch', '8,,1'], '--batch must be an integer in 1..64, got ""'],
  [['bench', 'm', '--batch', '8,8'], '--batch names a number twice'],
  [['bench', 'm', '--seconds', '0'], '--seconds must be an integer in 1..3600, got "0"'],
])('%j is refused', async (args, message) => {
  expect(await refusal(args)).toContain(`twinshift: ${message}`);
});
