import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { modelSizes } from '../../src/model/config.ts';
import type { LinearOperation } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { foldModel, type FoldingOptions } from '../../src/quantize/folding.ts';
import { foldingSites, headsOf } from '../../src/quantize/foldingSites.ts';
import type { ChannelRange, ChannelRanges, HeadMoments } from '../../src/quantize/channelRanges.ts';
import { doubleRanges, rangeOfRows, withOutliers } from '../support/channelRanges.ts';
import { nmse } from '../support/device.ts';
import { patchesOf, tinyModel } from '../support/goldenModel.ts';

const ALL: FoldingOptions[] = (['reparameterize', 'smooth'] as const).map((folding) => ({
  folding,
  activationBits: 6,
  strength: 1,
}));
const REPARAMETERIZE: FoldingOptions = { folding: 'reparameterize', activationBits: 6, strength: 1 };

async function tinyImages(name: 'vit-plain' | 'vit-distilled'): Promise<{ model: Model; images: Float32Array[] }> {
  const { model, golden } = await tinyModel(name);
  const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
  const size = patches.length / images;
  return { model, images: Array.from({ length: images }, (_, i) => patches.slice(i * size, (i + 1) * size)) };
}

function snapshot(model: Model): string {
  return JSON.stringify([model.network, [...model.parameters].map(([name, { values }]) => [name, [...values]])]);
}

describe.each(['vit-plain', 'vit-distilled'] as const)('%s', (name) => {
  describe.each([false, true])('with outliers %s', (outliers) => {
    test.each(ALL)('$folding keeps the function and the model it was given', async (options) => {
      const tiny = await tinyImages(name);
      const model = outliers ? withOutliers(tiny.model) : tiny.model;
      const { ranges, logits } = doubleRanges(model, tiny.images);
      const before = snapshot(model);
      const folded = foldModel(model, ranges, options);
      expect(snapshot(model)).toBe(before);
      const error = nmse(doubleRanges(folded, tiny.images).logits, logits);
      console.log(`${name}, outliers ${outliers}, ${options.folding}: NMSE of logits ${error.toExponential(1)}`);
      expect(error).toBeLessThan(1e-10);
      const changed = [...folded.parameters].filter(
        ([key, { values }]) => String(values) !== String(model.parameters.get(key)?.values),
      );
      const { depth } = modelSizes(model.config);
      const perBlock = options.folding === 'reparameterize' ? 10 : model.config.qkvBias ? 8 : 7;
      const last = options.folding === 'reparameterize' ? 0 : name === 'vit-distilled' ? 4 : 3; // the last norm sees one row an image
      expect(changed).toHaveLength(perBlock * depth + last);
    });

    test('half the strength leaves channels of norms symmetric, in the ratio of the roots of their ranges', async () => {
      const tiny = await tinyImages(name);
      const model = outliers ? withOutliers(tiny.model) : tiny.model;
      const { ranges } = doubleRanges(model, tiny.images);
      const half = { ...REPARAMETERIZE, strength: 0.5 };
      const [whole, soft] = [REPARAMETERIZE, half].map(
        (options) => doubleRanges(foldModel(model, ranges, options), tiny.images).ranges,
      );
      for (const site of foldingSites(model.network)) {
        if (site.kind !== 'norm' || site.name === 'norm') continue;
        const spread = (all: ChannelRanges) => {
          const highs = union(site.outputs.map((tensor) => all.get(tensor.name)!)).map(([, high]) => high);
          return highs.map((high) => Math.log(high / highs[0]!));
        };
        const [fully, halfway] = [whole!, soft!].map(spread);
        const middles = union(site.outputs.map((tensor) => soft!.get(tensor.name)!)).map(([low, high]) => low + high);
        middles.forEach((middle) => expect(Math.abs(middle)).toBeLessThan(1e-3));
        const widths = union(site.outputs.map((tensor) => ranges.get(tensor.name)!)).map(([low, high]) => high - low);
        const median = widths.toSorted((a, b) => a - b)[widths.length >> 1]!;
        halfway!.forEach((ratio, channel) => {
          if (widths[channel]! < 0.02 * median) return; // one that hardly varies is held back
          const wanted = (fully![channel]! + Math.log(widths[channel]! / widths[0]!)) / 2;
          expect(Math.abs(ratio - wanted), `${site.name} ${channel}`).toBeLessThan(1e-3);
        });
      }
    });

    test('reparameterize makes channels of norms equal and symmetric, and balances those of attention', async () => {
      const tiny = await tinyImages(name);
      const model = outliers ? withOutliers(tiny.model) : tiny.model;
      const { ranges } = doubleRanges(model, tiny.images);
      const folded = doubleRanges(foldModel(model, ranges, REPARAMETERIZE), tiny.images).ranges;
      let norms = 0;
      for (const site of foldingSites(model.network)) {
        if (site.kind === 'norm') {
          if (site.name === 'norm') continue; // sees one row an image
          const [before, after] = [ranges, folded].map((all) =>
            union(site.outputs.map((tensor) => all.get(tensor.name)!)),
          );
          const halves = before!.map(([low, high]) => (high - low) / 2);
          const least = 1e-2 * halves.toSorted((a, b) => a - b)[halves.length >> 1]!;
          const reached = Math.max(...after!.map(([, high]) => high));
          after!.forEach(([low, high], channel) => {
            expect(Math.abs(low + high), `${site.name} ${channel}`).toBeLessThan(1e-4 * reached);
            const expected = reached * Math.min(1, halves[channel]! / least); // less where a channel hardly varies
            expect(Math.abs(high - expected), `${site.name} ${channel}`).toBeLessThan(1e-4 * reached);
          });
          norms++;
        } else if (site.kind === 'keys') {
          for (const head of site.heads) {
            const [query, key] = [0, 1].map((side) => moments(folded.get(site.keys.name)!, head[0]![side]!));
            expect(Math.max(...key!.mean.map(Math.abs))).toBeLessThan(1e-4);
            expect(nmse(query!.products, key!.products)).toBeLessThan(1e-6); // about 0, where the mean of keys now lies
          }
        } else {
          for (const [made] of site.heads.flat()) {
            const [low, high] = ends(folded, site.made.name, made);
            expect(Math.abs(low + high)).toBeLessThan(1e-4 * (high + 1));
          }
        }
      }
      expect(norms).toBe(2 * modelSizes(model.config).depth);
    });
  });

  test('every layer without bias that an offset reaches gets one, and no other', async () => {
    const { model, images } = await tinyImages(name);
    const { ranges } = doubleRanges(model, images);
    const biases = (network: Model['network']) =>
      network.units.flatMap((unit) => unit.operations.flatMap((o) => (o.kind === 'linear' ? [o.bias] : [])));
    const folded = foldModel(model, ranges, REPARAMETERIZE);
    expect(biases(folded.network)).not.toContain(null);
    for (const bias of biases(folded.network)) expect(folded.parameters.get(bias!)?.shape).toHaveLength(1);
    expect(biases(foldModel(model, ranges, ALL[1]!).network)).toEqual(biases(model.network));
  });
});

test('smoothing shares the range of a channel between activation and weights', async () => {
  const tiny = await tinyImages('vit-distilled');
  const { ranges } = doubleRanges(tiny.model, tiny.images);
  const folded = foldModel(tiny.model, ranges, ALL[1]!);
  const after = doubleRanges(folded, tiny.images).ranges;
  for (const site of foldingSites(tiny.model.network)) {
    if (site.kind !== 'norm' || site.readers.some(({ parts }) => parts > 1)) continue; // values change rows of qkv
    const largest = union(site.outputs.map((tensor) => after.get(tensor.name)!)).map(([low, high]) =>
      Math.max(-low, high),
    );
    const ratios = largest.map((value, channel) => {
      const weights = site.readers.flatMap(({ weight, inFeatures }) =>
        [...folded.parameters.get(weight)!.values].filter((_, i) => i % inFeatures === channel),
      );
      return value / Math.max(...weights.map(Math.abs));
    });
    expect(Math.max(...ratios) / Math.min(...ratios)).toBeCloseTo(1, 4); // |x| = |w| up to one factor for all channels
  }
});

function union(ranges: readonly ChannelRange[]): [low: number, high: number][] {
  return Array.from(ranges[0]!.low, (_, channel) => [
    Math.min(...ranges.map(({ low }) => low[channel]!)),
    Math.max(...ranges.map(({ high }) => high[channel]!)),
  ]);
}

function moments(range: ChannelRange, first: number): HeadMoments {
  return range.moments.find(({ channels }) => channels[0] === first)!;
}

function ends(ranges: ChannelRanges, name: string, channel: number): [low: number, high: number] {
  const { low, high } = ranges.get(name)!;
  return [low[channel]!, high[channel]!];
}

interface Golden {
  readonly rows: number;
  readonly features: number;
  readonly heads: number;
  readonly parameters: Record<string, number[]>;
  readonly tensors: Record<string, number[]>;
  readonly folded: Record<'reparameterize' | 'smooth', Record<string, number[]>>;
}

/** The block of test/golden/quantize/folding.py: norm, q k v without bias, attention, projection. */
function goldenModel({ rows, features, heads, parameters }: Golden): Model {
  const size = features / heads;
  const linear = (
    layer: string,
    input: string,
    output: string,
    outFeatures: number,
    bias: boolean,
  ): LinearOperation => ({
    ...{
      kind: 'linear',
      name: layer,
      input,
      output,
      weight: `${layer}.weight`,
      rows,
      inFeatures: features,
      outFeatures,
    },
    ...{ bias: bias ? `${layer}.bias` : null, parts: 1, operand: 'plain' },
  });
  const part = (index: number) => ({
    ...{ tensor: 'qkv', offset: index * features, headStride: size, rowStride: 3 * features, columnStride: 1 },
  });
  const square = (tensor: string) => ({
    ...{ tensor, offset: 0, headStride: rows * rows, rowStride: rows, columnStride: 1 },
  });
  const context = { tensor: 'context', offset: 0, headStride: size, rowStride: features, columnStride: 1 };
  const product = { heads, rows };
  const stream = rows * features;
  const scores = heads * rows * rows;
  return {
    config: undefined as unknown as Model['config'],
    weightsSha256: '',
    parameters: new Map(
      Object.entries(parameters).map(([name, values]) => {
        const shape =
          name.endsWith('weight') && values.length > features ? [values.length / features, features] : [values.length];
        return [name, { shape, values: Float32Array.from(values) }];
      }),
    ),
    network: {
      numClasses: stream,
      units: [
        {
          name: 'block',
          input: 'x',
          output: 'y',
          elements: { x: stream, norm: stream, qkv: 3 * stream, scores, probs: scores, context: stream, y: stream },
          operations: [
            { kind: 'layerNorm', name: 'norm', input: 'x', output: 'norm', rows, features, epsilon: 1e-6 },
            linear('qkv', 'norm', 'qkv', 3 * features, false),
            {
              ...{ kind: 'matmul', windows: 1, name: 'qk', ...product, depth: size, columns: rows, operand: 'plain' },
              ...{ a: part(0), b: { ...part(1), rowStride: 1, columnStride: 3 * features }, output: square('scores') },
            },
            {
              ...{ kind: 'softmax', name: 'softmax', input: 'scores', output: 'probs' },
              ...{ rows: heads * rows, columns: rows, scale: size ** -0.5 },
            },
            {
              ...{
                kind: 'matmul',
                windows: 1,
                name: 'pv',
                ...product,
                depth: rows,
                columns: size,
                operand: 'post-softmax',
              },
              ...{ a: square('probs'), b: part(2), output: context },
            },
            linear('proj', 'context', 'y', features, true),
          ],
        },
      ],
    },
  };
}

describe('PyTorch', () => {
  const golden = JSON.parse(
    readFileSync(new URL('../golden/quantize/folding.json', import.meta.url), 'utf8'),
  ) as Golden;
  const columns: Record<string, number> = { norm: golden.features, qkv: 3 * golden.features, context: golden.features };
  const sites = foldingSites(goldenModel(golden).network);
  const ranges = new Map(
    Object.entries(golden.tensors).map(([name, values]) => [
      `block.${name}`,
      rangeOfRows(values, columns[name]!, headsOf(sites, `block.${name}`)),
    ]),
  );

  test.each(ALL)('gives the same parameters: $folding', ({ folding }) => {
    const folded = foldModel(goldenModel(golden), ranges, { folding, activationBits: 8, strength: 1 });
    const expected = golden.folded[folding];
    expect([...folded.parameters.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { values }] of folded.parameters) {
      const largest = Math.max(...expected[name]!.map(Math.abs));
      const worst = Math.max(...values.map((value, i) => Math.abs(value - expected[name]![i]!)));
      expect(worst / largest, name).toBeLessThan(3e-7);
    }
  });
});
