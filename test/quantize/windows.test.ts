import { describe, expect, test } from 'vitest';
import type { VitConfig } from '../../src/model/config.ts';
import type { GatherRowsOperation, Network, Operation } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { foldModel, type FoldingOptions } from '../../src/quantize/folding.ts';
import { channelTensors, foldingSites } from '../../src/quantize/foldingSites.ts';
import { multiplyAccumulates, productGeometry } from '../../src/quantize/geometry.ts';
import { doubleRanges, withOutliers } from '../support/channelRanges.ts';
import { nmse } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { PADDED_SWIN, POOLED_VIT, randomModel } from '../support/randomModel.ts';

const DIVISIBLE_SWIN = { ...PADDED_SWIN, imageSize: 48, windowSize: 3 }; // 12 x 12 and 6 x 6 tokens: nothing is padded
const POOLED_AFTER: VitConfig = { ...POOLED_VIT, fcNorm: true, registerTokens: 0, prefixTokens: 1 };

function names(network: Network): string[] {
  return foldingSites(network).map((site) => {
    if (site.kind === 'keys') return `keys ${site.keys.name}`;
    if (site.kind === 'values') return `values ${site.made.name} -> ${site.readers.map(({ name }) => name).join()}`;
    const padded = site.padded ? ' padded' : '';
    const [tensors, readers] = [site.outputs, site.readers].map((list) => list.map(({ name }) => name).join());
    return `norm ${site.name} (${tensors}) -> ${readers}${padded}`;
  });
}

function blockSites(block: string, padded: boolean): string[] {
  return [
    `norm ${block}.norm1 (${block}.windowed) -> ${block}.attn.qkv${padded ? ' padded' : ''}`,
    `keys ${block}.qkv`,
    `values ${block}.qkv -> ${block}.attn.proj`,
    `norm ${block}.norm2 (${block}.norm2) -> ${block}.mlp.fc1`,
  ];
}

describe('where channels can move', () => {
  test.each([
    ['padded', PADDED_SWIN, true],
    ['whole', DIVISIBLE_SWIN, false],
  ] as const)('of a Swin with %s windows', (_name, config, padded) => {
    expect(names(randomModel(config).network)).toEqual([
      ...blockSites('layers.0.blocks.0', padded),
      ...blockSites('layers.0.blocks.1', padded),
      'norm layers.0.downsample.norm (layers.0.downsample.norm) -> layers.0.downsample.reduction',
      ...blockSites('layers.1.blocks.0', padded),
      'norm norm (head.pooled) -> head',
    ]);
  });

  test('of a ViT with normalised queries and keys: not theirs, but values and what is averaged', () => {
    const block = (name: string) => [
      `norm ${name}.norm1 (${name}.norm1) -> ${name}.attn.q,${name}.attn.k,${name}.attn.v`,
      `values ${name}.v -> ${name}.attn.proj`,
      `norm ${name}.norm2 (${name}.norm2) -> ${name}.mlp.fc1`,
    ];
    const blocks = block('blocks.0');
    expect(names(randomModel(POOLED_VIT).network)).toEqual([...blocks, 'norm norm (head.token) -> head']);
    expect(names(randomModel(POOLED_AFTER).network)).toEqual([...blocks, 'norm fc_norm (head.norm) -> head']);
  });

  test('not where anything else reads gathered rows, or rows of another width', () => {
    const { network } = randomModel(PADDED_SWIN);
    const edited = (edit: (operation: Operation) => Operation[]) =>
      names({
        ...network,
        units: network.units.map((unit) =>
          unit.name === 'layers.0.blocks.0' ? { ...unit, operations: unit.operations.flatMap(edit) } : unit,
        ),
      }).filter((site) => site.startsWith('norm layers.0.blocks.0.norm1'));
    const isCut = (operation: Operation): operation is GatherRowsOperation =>
      operation.kind === 'gatherRows' && operation.output === 'windowed';
    expect(edited((operation) => [operation])).toHaveLength(1);
    expect(edited((o) => (isCut(o) ? [o, { ...o, input: 'windowed', output: 'again' }] : [o]))).toEqual([]);
    expect(edited((o) => (isCut(o) ? [{ ...o, features: o.features / 2 }] : [o]))).toEqual([]);
    const logitReader: Operation = { kind: 'gelu', name: 'g', input: 'biased', output: 'g', count: 1 };
    const keys = names({
      ...network,
      units: network.units.map((unit) => ({ ...unit, operations: [...unit.operations, logitReader] })),
    }).filter((site) => site.startsWith('keys'));
    expect(keys).toEqual([]);
  });
});

describe.each([
  ['padded Swin', PADDED_SWIN],
  ['whole Swin', DIVISIBLE_SWIN],
  ['pooled ViT', POOLED_VIT],
  ['ViT with fc_norm', POOLED_AFTER],
] as const)('folding a %s', (name, config) => {
  const plain = randomModel(config);
  const model = withOutliers(plain);
  const size = 3 * config.imageSize ** 2;
  const images = [1, 2].map((seed) => noise(size, seed, 2));
  const { ranges, logits } = doubleRanges(model, images);
  test.each(['reparameterize', 'smooth'] as const)('%s keeps the function', (folding) => {
    const options: FoldingOptions = { folding, activationBits: 6, strength: 1 };
    const folded = foldModel(model, ranges, options);
    const error = nmse(doubleRanges(folded, images).logits, logits);
    console.log(`${name}, ${folding}: NMSE of logits ${error.toExponential(1)}`);
    expect(error).toBeLessThan(1e-10);
    for (const site of foldingSites(model.network)) {
      if (folding === 'smooth' && site.kind === 'keys') continue;
      const pooled = site.kind === 'norm' && site.outputs.some(({ rows }) => rows === 1);
      const moved = parametersOf(site).some((key) => String(value(folded, key)) !== String(value(model, key)));
      expect(moved, JSON.stringify(site.kind === 'norm' ? site.name : site)).toBe(folding === 'smooth' || !pooled);
    }
  });

  test('channels of a norm are equally wide, and as far from 0 on both sides unless rows are padded', () => {
    const folded = foldModel(model, ranges, { folding: 'reparameterize', activationBits: 8, strength: 1 });
    const after = doubleRanges(folded, images).ranges;
    for (const site of foldingSites(model.network)) {
      if (site.kind !== 'norm' || site.outputs[0]!.rows === 1) continue;
      const range = after.get(site.outputs[0]!.name)!;
      const reach = [...range.low].map((low, i) => Math.max(-low, range.high[i]!));
      const widest = Math.max(...reach);
      const wide = reach.filter((value) => Math.abs(value - widest) < 1e-4 * widest).length;
      expect(wide, site.name).toBeGreaterThan(0.7 * reach.length); // channels that hardly vary are held back
      const lopsided = [...range.low].filter((low, i) => Math.abs(low + range.high[i]!) > 1e-3 * widest).length;
      expect(lopsided > 0, site.name).toBe(site.padded);
    }
  });
});

test('sites of few rows are left alone, those of one apart', () => {
  const model = withOutliers(randomModel(PADDED_SWIN));
  const { ranges } = doubleRanges(model, [noise(3 * 28 ** 2, 1, 2)]);
  const folded = foldModel(model, ranges, { folding: 'smooth', activationBits: 8, strength: 1, fewestRows: 40 });
  const seen = new Set<number>();
  for (const site of foldingSites(model.network)) {
    if (site.kind === 'keys') continue; // smoothing leaves them alone
    const rows = Math.min(...channelTensors([site]).map((tensor) => tensor.rows));
    const moved = parametersOf(site).some((key) => String(value(folded, key)) !== String(value(model, key)));
    expect(moved, `${rows} rows`).toBe(rows === 1 || rows >= 40);
    seen.add(rows);
  }
  expect(seen).toEqual(new Set([81, 49, 16, 36, 1])); // windows of stages with padding, their tokens, merged ones, the mean
});

test('windows count in the work of a product and share its views', () => {
  const { network } = randomModel(PADDED_SWIN);
  const unit = network.units.find(({ name }) => name === 'layers.0.blocks.1')!;
  const product = unit.operations.find((operation) => operation.kind === 'matmul')!;
  const geometry = productGeometry(product, unit);
  expect(geometry).toMatchObject({ windows: 9, heads: 2, rows: 9, depth: 8, columns: 9 });
  expect(geometry.a).toMatchObject({ imageStride: 9 * 48, headStride: 8, rowStride: 48 });
  expect(geometry.output).toMatchObject({ imageStride: 2 * 81, headStride: 81, rowStride: 9 });
  expect(multiplyAccumulates(geometry)).toBe(9 * 2 * 9 * 8 * 9);
});

function value({ parameters }: Model, name: string): Float32Array {
  return parameters.get(name)!.values;
}

function parametersOf(site: ReturnType<typeof foldingSites>[number]): string[] {
  if (site.kind === 'keys') return [site.keyMaker.weight, site.queryMaker.weight];
  return site.kind === 'values' ? [site.maker.weight] : [`${site.name}.weight`];
}
