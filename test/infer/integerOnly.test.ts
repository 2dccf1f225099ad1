/// <reference types="vite/types/importMeta.d.ts" />
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { IntegerModel } from '../../src/format/model.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { ParameterStore } from '../../src/infer/parameterStore.ts';
import { Recordings } from '../../src/infer/recordings.ts';
import type { FloatKind } from '../../src/infer/context.ts';
import { plainVariant } from '../../src/kernels/matmulVariant.ts';
import { useGpu } from '../support/device.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { filesReachedFrom, importsOf, type ImportGraph } from '../support/imports.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';
import { namesFloat } from '../support/shaderInterface.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

const context = useGpu();

const source = path.join(import.meta.dirname, '../../src');
const graph: ImportGraph = new Map(
  readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => [file, importsOf(file, readFileSync(path.join(source, file), 'utf8'))]),
);
/** Rooms in which a network computes in float. */
const FLOAT_ROOMS = /^(model|quantize|calibrate|simulate|export)\//;

const inferFiles = (files: ImportGraph) => [...files.keys()].filter((file) => file.startsWith('infer/'));
const floatCodeReached = (files: ImportGraph): string[] =>
  [...filesReachedFrom(files, inferFiles(files))].filter(([file]) => FLOAT_ROOMS.test(file)).map(([, chain]) => chain);

const modules = import.meta.glob<Record<string, unknown>>('../../src/kernels/*.ts', { eager: true });
const kernels = new Map(
  Object.values(modules)
    .flatMap((exported) => Object.entries(exported))
    .filter(([name]) => name.endsWith('Kernel'))
    .map(([, kernel]) => [(kernel as Kernel).name, kernel as Kernel]),
);

/** Names of the kernels that a session records for `model`. */
async function recordedKernels(model: IntegerModel, float: readonly FloatKind[] = []): Promise<string[]> {
  const parameters = new ParameterStore(context.device);
  const kinds = new Set(float);
  await parameters.upload(model, kinds);
  const recordings = new Recordings(context.device, model, parameters, {
    float: kinds,
    largestSums: new Map(model.program.operations.map(({ name }) => [name, 2 ** 31 - 1])),
    maxBatch: 2,
    tiles: () => Promise.resolve({ variantFor: ({ columns }) => plainVariant(columns) }),
  });
  const { steps } = await recordings.next(2);
  const names = new Set(steps.flatMap(({ dispatches }) => dispatches.map(({ name }) => name)));
  recordings.destroy();
  parameters.destroy();
  return [...names];
}

const floatKernels = (names: readonly string[]) => names.filter((name) => namesFloat(kernels.get(name)?.wgsl ?? '1.0'));

describe('inference', () => {
  test('reaches no code in which a network computes in float', () => {
    expect(inferFiles(graph).length).toBeGreaterThan(10);
    expect(filesReachedFrom(graph, inferFiles(graph)).has('kernels/matmulRequantize.ts')).toBe(true);
    expect(floatCodeReached(graph)).toEqual([]);
  });

  test('would be caught reaching it, however far', () => {
    const through = new Map([...graph, ['kernels/codes.ts', ['model/forward.ts']]]);
    expect(floatCodeReached(through)).not.toEqual([]);
    expect(floatCodeReached(through)[0]).toMatch(/^infer\/.* -> kernels\/codes\.ts -> model\/forward\.ts/);
  });

  const methods = [
    { softmax: 'shift', gelu: 'shift', norm: 'published' },
    { softmax: 'shift-fixed', gelu: 'shift-fixed' },
    { softmax: 'poly', gelu: 'poly' },
    { softmax: 'lut', gelu: 'lut' },
    { gelu: 'lut-codes' },
  ] as const;
  test.each(methods)('in integers records no kernel that names a float: %o', async (overrides) => {
    const names = await recordedKernels(tinyIntegerModel(1, { ...overrides, depth: 1 }));
    expect(names.length).toBeGreaterThanOrEqual(6);
    expect(names).toContain('int_softmax');
    expect(floatKernels(names)).toEqual([]);
  });

  test.each([
    ['Swin', PADDED_SWIN, ['gather_words', 'attention_bias_i32', 'mean_rows_i16']],
    ['ViT', POOLED_VIT, ['mean_rows_i16']],
  ] as const)('in integers records no kernel that names a float for a %s', async (_name, config, own) => {
    const names = await recordedKernels((await exportedNetwork(config, { count: 1 })).integer);
    expect(names).toEqual(expect.arrayContaining([...own]));
    expect(floatKernels(names)).toEqual([]);
  });

  test('in integers has tiles of no kernel that names a float', () => {
    const names = [...kernels.keys()].filter((name) => name.startsWith('matmul_requantize'));
    expect(names).toContain('matmul_requantize');
    expect(floatKernels(names)).toEqual([]);
  });

  test.each(['softmax', 'gelu', 'layerNorm'] as const)('would be caught with a float %s', async (kind) => {
    expect(floatKernels(await recordedKernels(tinyIntegerModel(1, { depth: 1 }), [kind]))).not.toEqual([]);
  });

  test('would be caught with a kernel of no record', () => {
    expect(floatKernels(['int_softmax', 'from_nowhere'])).toEqual(['from_nowhere']);
  });
});
