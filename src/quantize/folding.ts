import type { LinearOperation, Network } from '../model/graph.ts';
import type { Model, Parameter } from '../model/load.ts';
import {
  bestBounds,
  joinRanges,
  largestMagnitudes,
  type ChannelBounds,
  type ChannelRange,
  type ChannelRanges,
  type HeadMoments,
} from './channelRanges.ts';
import { headRotation } from './headRotation.ts';
import {
  channelTensors,
  foldingSites,
  type ChannelTensor,
  type KeySite,
  type NormSite,
  type ValueSite,
} from './foldingSites.ts';

export interface FoldingOptions {
  /** `reparameterize`: a scale and an offset per channel (RepQ-ViT); `smooth`: a scale that weights share (SmoothQuant). */
  readonly folding: 'reparameterize' | 'smooth';
  /** Bits of the codes that channels are made ready for. */
  readonly activationBits: number;
  /**
   * How much of the differences between channels of a norm moves into weights with `reparameterize`: 1 makes their ranges equal, 0
   * leaves their scales and moves offsets alone.
   */
  readonly strength: number;
  /** Sites of fewer rows an image are left alone, those of a single row apart; default 0. */
  readonly fewestRows?: number;
}

/** A channel's scale is at least this share of the median: one that hardly varies would make its weight vanish. */
const LEAST_SHARE = 1e-2;
/** How much of the range of activations goes to the weights with `smooth` (SmoothQuant, equation 4). */
const SMOOTHING = 0.5;

/**
 * A model of the same function whose activations are easier to quantize with one scale a tensor: x becomes (x - offset) / scale, channel
 * by channel, and what comes before and after takes that up. LayerNorm outputs, values and queries with keys are changed, where
 * `foldingSites` finds that nothing else reads them. A layer without bias gets one where an offset needs it.
 *
 * @param ranges of the float model on calibration images, for every tensor of `channelTensors(foldingSites(model.network))`
 * @returns another model, with a network of its own; `model` is left as it is
 */
export function foldModel(model: Model, ranges: ChannelRanges, options: FoldingOptions): Model {
  const draft: Draft = { parameters: model.parameters, changed: new Map(), biases: new Map() };
  for (const site of foldingSites(model.network)) {
    if (channelTensors([site]).some(({ rows }) => rows > 1 && rows < (options.fewestRows ?? 0))) continue;
    if (site.kind === 'values') foldValues(draft, site, ranges, options);
    else if (site.kind === 'norm' && !skipsNorm(site, options)) foldNorm(draft, site, ranges, options);
    else if (site.kind === 'keys' && options.folding === 'reparameterize') foldKeys(draft, site, ranges);
  }
  const parameters = new Map(model.parameters);
  for (const [name, values] of draft.changed) {
    const shape = model.parameters.get(name)?.shape ?? [values.length];
    parameters.set(name, { shape, values: Float32Array.from(values) });
  }
  return { ...model, network: withBiases(model.network, draft.biases), parameters };
}

/**
 * Calibration sees a norm of class tokens once an image: ends of single channels are not known well enough to fit codes to. On the
 * outlier model images of the evaluation pass those of 32 images threefold, and one scale for all costs next to nothing.
 */
function skipsNorm({ outputs }: NormSite, { folding }: FoldingOptions): boolean {
  return folding === 'reparameterize' && outputs.some(({ rows }) => rows === 1);
}

/** Parameters on their way to another model, in double. */
interface Draft {
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly changed: Map<string, Float64Array>;
  /** Names of biases that layers without one got, by layer. */
  readonly biases: Map<string, string>;
}

/** What is taken off each channel, and then what it is divided by. */
interface Change {
  readonly offset: Float64Array;
  readonly scale: Float64Array;
}

/** The norm's gain and shift take up the change, the columns and biases of every reader the rest (RepQ-ViT, section 3.2). */
function foldNorm(draft: Draft, site: NormSite, ranges: ChannelRanges, options: FoldingOptions): void {
  const range = joinRanges(site.outputs.map((output) => rangeOf(ranges, output)));
  const change =
    options.folding === 'smooth'
      ? smoothing(draft, range, site.readers)
      : reparameterization(bestBounds(range, options.activationBits), options.strength, site.padded);
  scaleRows(valuesOf(draft, `${site.name}.weight`), change.scale);
  applyChange(valuesOf(draft, `${site.name}.bias`), change);
  for (const reader of site.readers) foldReader(draft, reader, change);
}

/** An offset of values passes attention as it is, because its rows sum to 1; those of padded tokens have it like all others. */
function foldValues(draft: Draft, site: ValueSite, ranges: ChannelRanges, options: FoldingOptions): void {
  const mixedRange = rangeOf(ranges, site.mixed);
  const change =
    options.folding === 'smooth'
      ? smoothing(draft, mixedRange, site.readers)
      : balancedValues(site, bestBounds(rangeOf(ranges, site.made), options.activationBits), mixedRange);
  const ofMaker = noChange(site.maker.outFeatures);
  for (const [made, mixed] of site.heads.flat()) {
    ofMaker.offset[made] = change.offset[mixed] as number;
    ofMaker.scale[made] = change.scale[mixed] as number;
  }
  foldMaker(draft, site.maker, ofMaker);
  for (const reader of site.readers) foldReader(draft, reader, change);
}

/** The mean of a key adds the same to every logit of a row, which softmax does not see; queries undo a change of basis of keys. */
function foldKeys(draft: Draft, { queryMaker, queries, keyMaker, keys, heads }: KeySite, ranges: ChannelRanges): void {
  const means = noChange(keyMaker.outFeatures);
  for (const head of heads) {
    const query = momentsOf(
      rangeOf(ranges, queries),
      head.map(([channel]) => channel),
    );
    const key = momentsOf(
      rangeOf(ranges, keys),
      head.map(([, channel]) => channel),
    );
    const { ofQueries, ofKeys } = headRotation(query, key);
    rotateMaker(draft, queryMaker, query.channels, ofQueries);
    key.channels.forEach((channel, i) => (means.offset[channel] = key.mean[i] as number));
    foldMaker(draft, keyMaker, means);
    means.offset.fill(0);
    rotateMaker(draft, keyMaker, key.channels, ofKeys);
  }
}

/**
 * Every channel gets the same range around 0: its half width in units of their geometric mean. Where rows of zeros must stay zeros the
 * channels keep their places, and are as wide as what lies farther from 0.
 */
function reparameterization({ middle, half }: ChannelBounds, strength: number, padded: boolean): Change {
  const reach = padded ? half.map((width, channel) => width + Math.abs(middle[channel] as number)) : half;
  const scale = Float64Array.from(relative([...reach]), (ratio) => ratio ** strength);
  return { offset: padded ? new Float64Array(middle.length) : middle, scale };
}

/**
 * Values are quantized twice, as they are made with a scale a head and mixed with a scale a tensor: the scale of a channel is the
 * geometric mean of what makes its range equal to those of its head, and of its tensor.
 */
function balancedValues({ heads, mixed }: ValueSite, made: ChannelBounds, { low, high }: ChannelRange): Change {
  const change = noChange(mixed.columns);
  for (const [from, to] of heads.flat()) change.offset[to] = made.middle[from] as number;
  const reach = change.offset.map((middle, to) =>
    Math.max(middle - (low[to] as number), (high[to] as number) - middle),
  );
  const ofTensor = relative([...reach]);
  for (const head of heads) {
    const ofHead = relative(head.map(([from]) => made.half[from] as number));
    head.forEach(([, to], i) => (change.scale[to] = Math.sqrt((ofHead[i] as number) * (ofTensor[to] as number))));
  }
  return change;
}

/** The largest magnitude of a channel and of its weights share the range (SmoothQuant, equation 4); no offset. */
function smoothing(draft: Draft, range: ChannelRange, readers: readonly LinearOperation[]): Change {
  const weights = new Float64Array(range.low.length);
  for (const { weight, inFeatures } of readers) {
    valuesOf(draft, weight).forEach((value, i) => {
      weights[i % inFeatures] = Math.max(weights[i % inFeatures] as number, Math.abs(value));
    });
  }
  const shared = floored([...weights]);
  const ratios = floored([...largestMagnitudes(range)]).map(
    (largest, column) => largest ** SMOOTHING / (shared[column] as number) ** (1 - SMOOTHING),
  );
  return { offset: new Float64Array(ratios.length), scale: Float64Array.from(relative(ratios)) };
}

/** The layer makes (x - offset) / scale instead of x. */
function foldMaker(draft: Draft, layer: LinearOperation, change: Change): void {
  scaleRows(valuesOf(draft, layer.weight), change.scale);
  if (layer.bias !== null || draft.biases.has(layer.name) || change.offset.some((value) => value !== 0)) {
    applyChange(biasOf(draft, layer), change);
  }
}

/** The layer makes x R instead of x, R `[channels][channels]`. */
function rotateMaker(draft: Draft, layer: LinearOperation, channels: readonly number[], rotation: Float64Array): void {
  rotateRows(valuesOf(draft, layer.weight), layer.inFeatures, channels, rotation);
  if (layer.bias !== null || draft.biases.has(layer.name)) rotateRows(biasOf(draft, layer), 1, channels, rotation);
}

function rotateRows(values: Float64Array, width: number, channels: readonly number[], rotation: Float64Array): void {
  const before = channels.map((channel) => values.slice(channel * width, (channel + 1) * width));
  channels.forEach((channel, to) => {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      before.forEach((row, from) => (sum += (row[i] as number) * (rotation[from * channels.length + to] as number)));
      values[channel * width + i] = sum;
    }
  });
}

/** The layer gives the same for (x - offset) / scale as before for x. */
function foldReader(draft: Draft, layer: LinearOperation, { offset, scale }: Change): void {
  const weight = valuesOf(draft, layer.weight);
  const { inFeatures, outFeatures } = layer;
  if (offset.some((value) => value !== 0)) {
    const bias = biasOf(draft, layer);
    for (let row = 0; row < outFeatures; row++) {
      for (let column = 0; column < inFeatures; column++) {
        const product = (weight[row * inFeatures + column] as number) * (offset[column] as number);
        bias[row] = (bias[row] as number) + product;
      }
    }
  }
  for (let i = 0; i < weight.length; i++) weight[i] = (weight[i] as number) * (scale[i % inFeatures] as number);
}

function scaleRows(values: Float64Array, scale: Float64Array): void {
  const columns = values.length / scale.length;
  for (let i = 0; i < values.length; i++) {
    values[i] = (values[i] as number) / (scale[Math.floor(i / columns)] as number);
  }
}

function applyChange(values: Float64Array, { offset, scale }: Change): void {
  for (let i = 0; i < values.length; i++)
    values[i] = ((values[i] as number) - (offset[i] as number)) / (scale[i] as number);
}

function noChange(features: number): Change {
  return { offset: new Float64Array(features), scale: new Float64Array(features).fill(1) };
}

function valuesOf(draft: Draft, name: string): Float64Array {
  let values = draft.changed.get(name);
  if (!values) {
    const parameter = draft.parameters.get(name);
    if (!parameter) throw new Error(`the model has no parameter ${name}`);
    draft.changed.set(name, (values = Float64Array.from(parameter.values)));
  }
  return values;
}

/** The layer's bias; one of zeros that is added when it has none. */
function biasOf(draft: Draft, { name, bias, outFeatures }: LinearOperation): Float64Array {
  if (bias !== null) return valuesOf(draft, bias);
  const added = `${name}.bias`;
  if (!draft.biases.has(name)) {
    draft.biases.set(name, added);
    draft.changed.set(added, new Float64Array(outFeatures));
  }
  return valuesOf(draft, added);
}

function withBiases(network: Network, biases: ReadonlyMap<string, string>): Network {
  const units = network.units.map((unit) => ({
    ...unit,
    operations: unit.operations.map((operation) => {
      const bias = operation.kind === 'linear' ? biases.get(operation.name) : undefined;
      return operation.kind === 'linear' && bias !== undefined ? { ...operation, bias } : operation;
    }),
  }));
  return { ...network, units };
}

/** Positive values in units of their geometric mean. */
function relative(values: readonly number[]): number[] {
  const positive = floored(values);
  const mean = Math.exp(positive.reduce((sum, value) => sum + Math.log(value), 0) / positive.length);
  return positive.map((value) => value / mean);
}

/** Values of at least `LEAST_SHARE` of their median; all 1 when most are 0. */
function floored(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] as number;
  return values.map((value) => (median > 0 ? Math.max(value, LEAST_SHARE * median) : 1));
}

function momentsOf({ moments }: ChannelRange, channels: readonly number[]): HeadMoments {
  const found = moments.find((group) => group.channels.every((channel, i) => channel === channels[i]));
  if (!found) throw new Error(`no moments of channels ${channels[0]} and on`);
  return found;
}

function rangeOf(ranges: ChannelRanges, { name }: ChannelTensor): ChannelRange {
  const range = ranges.get(name);
  if (!range) throw new Error(`no channel ranges of ${name}`);
  return range;
}
