import { describe, expect, test } from 'vitest';
import type { Recipe } from '../../src/calibrate/recipe.ts';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import type { ModelConfig, SwinConfig, VitConfig } from '../../src/model/config.ts';
import { unfoldPatches } from '../../src/model/patches.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { exportedNetwork, type ExportedModel } from '../support/exportedModel.ts';
import { interpretModelFile } from '../support/formatInterpreter.ts';
import type { Model } from '../../src/model/load.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';

const WHOLE_SWIN: SwinConfig = { ...PADDED_SWIN, imageSize: 24, patchNorm: false, absolutePosition: true };
const POOLED_BEFORE: VitConfig = { ...POOLED_VIT, fcNorm: true, qkNorm: false };

/** Signal to noise of the integer logits against the float network in double, in dB. */
async function quality({ integer, pixels, count, model }: ExportedModel & { readonly model: Model }): Promise<number> {
  const engine = referenceEngine(integer);
  const logits = await engine.run(pixels, count);
  let [noise, signal] = [0, 0];
  for (let image = 0; image < count; image++) {
    const size = pixels.length / count;
    const rgb = pixels.subarray(image * size, (image + 1) * size);
    const patches = unfoldPatches(normalizePixels(rgb, model.config.preprocessing), model.config);
    const exact = doubleForward(model, patches);
    exact.forEach((value, i) => {
      noise += (value - engine.logitScale * (logits[image * exact.length + i] as number)) ** 2;
      signal += value ** 2;
    });
  }
  return 10 * Math.log10(signal / noise);
}

/** Codes of plain inputs of linear layers with the zero point `zero`, in steps that leave room for it. */
const shifted = (zero: number) => (recipe: Recipe) => ({
  ...recipe,
  layers: recipe.layers.map((layer) => {
    const { a, kind } = layer;
    if (kind !== 'linear' || a.type !== 'uniform') return layer;
    return { ...layer, a: { ...a, scales: [1.3 * (a.scales[0] as number)], zeroPoint: zero } };
  }),
});

test.each([
  ['padding', PADDED_SWIN],
  ['a mean', POOLED_VIT],
] as const)('zero points reach %s', async (_name, config) => {
  for (const zero of [25, -25]) {
    const exported = await exportedNetwork(config, { change: shifted(zero) });
    expect(await quality(exported)).toBeGreaterThan(22);
    const { operations } = exported.integer.program;
    const fills = operations.flatMap((one) => (one.kind === 'gatherRows' && one.fill !== 0 ? [one.fill] : []));
    const biases = operations.flatMap((one) => (one.kind === 'meanRows' ? [Math.sign(one.bias)] : []));
    expect(new Set(fills)).toEqual(new Set(config.family === 'swin' ? [zero] : []));
    expect(biases).toEqual([Math.sign(zero)]);
  }
});

test('normalised queries and keys of a head are in its own steps', async () => {
  const twice = (recipe: Recipe) => ({
    ...recipe,
    layers: recipe.layers.map((layer) => {
      const { a, name } = layer;
      if (a.type !== 'uniform' || !name.endsWith('attn.qk')) return layer;
      return { ...layer, a: { ...a, scales: a.scales.map((scale, head) => scale * 2 ** head) } };
    }),
  });
  const { integer } = await exportedNetwork(POOLED_VIT, { change: twice });
  const scales = integer.program.tensors['blocks.0.attn.qk.a']?.scales ?? [];
  const { multipliers, shifts } = integer.norms.get('blocks.0.attn.q_norm')!;
  for (let i = 0; i < 8; i++) {
    const [first, second] = [i, 8 + i].map((at) => multipliers[at]! / 2 ** shifts[at]!);
    expect(first! / second!).toBeCloseTo(scales[1]! / scales[0]!, 6);
  }
  expect(scales[1]).not.toBeCloseTo(scales[0]!, 3);
});

test('three layers that read one norm in steps of their own get its codes in each', async () => {
  const own = (recipe: Recipe) => ({
    ...recipe,
    layers: recipe.layers.map((layer) => {
      const { a, name } = layer;
      if (a.type !== 'uniform' || !name.endsWith('attn.k')) return layer;
      return { ...layer, a: { ...a, scales: [1.1 * (a.scales[0] as number)] } };
    }),
  });
  const exported = await exportedNetwork(POOLED_VIT, { change: own });
  const inputs = exported.integer.program.operations.flatMap((one) =>
    one.kind === 'linear' && /attn\.[qkv]$/.test(one.name) ? [one.input] : [],
  );
  expect(inputs).toEqual(['blocks.0.norm1', 'blocks.0.norm1.1', 'blocks.0.norm1']);
  expect(await quality(exported)).toBeGreaterThan(25);
});

describe.each<[string, ModelConfig, number]>([
  ['a Swin of padded and shifted windows', PADDED_SWIN, 25],
  ['a Swin of whole windows, with positions', WHOLE_SWIN, 25],
  ['a ViT with normalised queries and keys, pooled behind its norm', POOLED_VIT, 25],
  ['a ViT pooled before its norm', POOLED_BEFORE, 25],
])('%s', (_name, config, least) => {
  test('follows the float network', async () => {
    expect(await quality(await exportedNetwork(config))).toBeGreaterThan(least);
  });

  test('comes back from its file, of version 3, and runs by the format alone to the same logits', async () => {
    const { integer, pixels, count } = await exportedNetwork(config);
    const file = writeModelFile(integer);
    expect(new TextDecoder().decode(file.subarray(0, 200_000))).toContain('"version":"3"');
    const read = readModelFile(file, 'm');
    expect(read.program).toEqual(integer.program);
    expect(read.biases).toEqual(integer.biases);
    expect(writeModelFile(read)).toEqual(file);
    const one = pixels.subarray(0, pixels.length / count);
    const logits = await referenceEngine(read).run(one, 1);
    expect(interpretModelFile(file, one).map(Number)).toEqual([...logits]);
  });
});
