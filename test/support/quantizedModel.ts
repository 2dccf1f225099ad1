import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { twinshift } from './command.ts';
import { tinyTensors, TINY_CONFIG, writeImages, writeModel } from './tinyModel.ts';

/** Classes of the tiny model. */
export const NAMES = ['ant', 'bee', 'cat', 'dog', 'elk', 'fox', 'gnu', 'hen', 'ibis', 'jay'];

/** A tiny model that the command has quantized, in a folder of its own. */
export interface QuantizedModel {
  /** Removed after the tests of the file. */
  readonly folder: string;
  /** The float model, 12 images, and the folder and model file that `quantize` wrote. */
  readonly model: string;
  readonly images: string;
  readonly recipe: string;
  readonly file: string;
  /** Two of the images by their paths. */
  readonly two: readonly [string, string];
}

/** Makes one for the tests of a file. */
export async function quantizedModel(): Promise<QuantizedModel> {
  const folder = mkdtempSync(join(tmpdir(), 'twinshift-file-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const model = writeModel(join(folder, 'model'), tinyTensors(), { ...TINY_CONFIG, label_names: NAMES });
  const images = await writeImages(join(folder, 'images'), 12);
  const recipe = join(folder, 'w8');
  const file = join(recipe, 'model.twinshift.safetensors');
  const report = await json(['quantize', model, '--images', images, '--count', '8', '--out', recipe]);
  expect(report['modelFileBytes']).toBe(readFileSync(file).byteLength);
  return { folder, model, images, recipe, file, two: [join(images, '003.png'), join(images, '007.png')] };
}

/** Variables under which no adapter is found. */
export const NO_ADAPTER = { VK_ICD_FILENAMES: '/nonexistent.json', VK_DRIVER_FILES: '/nonexistent.json' };

/** Runs a command that must end well and print one JSON document. */
export async function json(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await twinshift([...args, '--json'], { env });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Runs a command that must be refused with one line; that line. */
export async function refusal(args: readonly string[], code = 2): Promise<string> {
  const got = await twinshift(args, { env: NO_ADAPTER }); // refused before an adapter is asked for
  expect({ code: got.code, stdout: got.stdout }, got.stderr).toEqual({ code, stdout: '' });
  return got.stderr;
}
