import { outputOf, parametersOf } from '../model/execute.ts';
import type {
  LayerNormOperation,
  LinearOperation,
  MatmulOperation,
  MatrixView,
  Network,
  Operation,
  SoftmaxOperation,
  Unit,
} from '../model/graph.ts';

/** Where the scale or offset of a single channel can move into parameters without changing what the network computes. */

/** A tensor `[rows][columns]` of a unit; `name` is `<unit>.<tensor>`. */
export interface ChannelTensor {
  readonly unit: string;
  readonly tensor: string;
  readonly name: string;
  /** Rows of an image. */
  readonly rows: number;
  readonly columns: number;
}

/** Outputs of one LayerNorm that linear layers alone read, as they are, by rows or averaged. */
export interface NormSite {
  readonly kind: 'norm';
  readonly name: string;
  /** What the layers read, in each place in the network where the norm is applied. */
  readonly outputs: readonly ChannelTensor[];
  readonly readers: readonly LinearOperation[];
  /** Some of the rows that are read are zeros and no outputs of the norm: their channels cannot be moved, only scaled. */
  readonly padded: boolean;
}

/** Values that a linear layer makes, attention mixes with rows that sum to 1, and linear layers alone read. */
export interface ValueSite {
  readonly kind: 'values';
  readonly maker: LinearOperation;
  readonly made: ChannelTensor;
  readonly mixed: ChannelTensor;
  readonly readers: readonly LinearOperation[];
  /** Channels of each head that belong together: [of what is made, of what is read]. */
  readonly heads: readonly (readonly (readonly [made: number, mixed: number])[])[];
}

/** Queries and keys whose products only softmax reads, over all keys. */
export interface KeySite {
  readonly kind: 'keys';
  readonly queryMaker: LinearOperation;
  readonly queries: ChannelTensor;
  readonly keyMaker: LinearOperation;
  readonly keys: ChannelTensor;
  /** Channels of each head that are multiplied with each other. */
  readonly heads: readonly (readonly (readonly [query: number, key: number])[])[];
}

export type FoldingSite = NormSite | ValueSite | KeySite;

/** The sites of a network in the order of its forward pass. A tensor that anything else reads, such as a residual, is no site. */
export function foldingSites(network: Network): FoldingSite[] {
  const users = parameterUsers(network);
  const own = (layer: LinearOperation) => parametersOf(layer).every((name) => users.get(name) === 1);
  const norms = new Set<string>();
  return network.units.flatMap((unit) =>
    unit.operations.flatMap((operation): FoldingSite[] => {
      if (operation.kind === 'matmul') return matmulSites(unit, operation, own);
      if (operation.kind !== 'layerNorm' || norms.has(operation.name)) return [];
      norms.add(operation.name);
      return normSite(network, operation, users, own);
    }),
  );
}

/** The tensors whose channels the foldings look at, each once. */
export function channelTensors(sites: readonly FoldingSite[]): ChannelTensor[] {
  const all = sites.flatMap((site) => {
    if (site.kind === 'norm') return site.outputs;
    return site.kind === 'values' ? [site.made, site.mixed] : [site.queries, site.keys];
  });
  return [...new Map(all.map((tensor) => [tensor.name, tensor])).values()];
}

/** Channels of the heads of queries and of keys in the tensor `name`. */
export function headsOf(sites: readonly FoldingSite[], name: string): number[][] {
  return sites.flatMap((site) => {
    if (site.kind !== 'keys') return [];
    const sides = [site.queries, site.keys].entries();
    return [...sides].flatMap(([side, tensor]) =>
      tensor.name === name ? site.heads.map((head) => head.map((pair) => pair[side] as number)) : [],
    );
  });
}

type IsOwn = (layer: LinearOperation) => boolean;

function normSite(
  network: Network,
  { name, features }: LayerNormOperation,
  users: ReadonlyMap<string, number>,
  own: IsOwn,
): NormSite[] {
  const outputs: ChannelTensor[] = [];
  const readers: LinearOperation[] = [];
  let places = 0;
  let padded = false;
  for (const unit of network.units) {
    for (const operation of unit.operations) {
      if (operation.kind !== 'layerNorm' || operation.name !== name) continue;
      const read = channelReads(unit, operation.output, features, own);
      if (!read) return [];
      places++;
      outputs.push(...read.tensors.map((tensor) => channelTensor(unit, tensor, features)));
      readers.push(...read.readers);
      padded ||= read.padded;
    }
  }
  return users.get(`${name}.weight`) === places ? [{ kind: 'norm', name, outputs, readers, padded }] : [];
}

interface ChannelReads {
  /** The tensors that linear layers read. */
  readonly tensors: readonly string[];
  readonly readers: readonly LinearOperation[];
  readonly padded: boolean;
}

/**
 * The linear layers that read a tensor row by row, or rows gathered from it, or their mean: what changes a channel of one changes it
 * of all alike, but not zeros that were added. Undefined when something else reads any of these.
 */
function channelReads(unit: Unit, tensor: string, features: number, own: IsOwn): ChannelReads | undefined {
  if (unit.output === tensor) return undefined;
  const all = readersOf(unit, tensor);
  const moved = all.filter((reader) => reader.kind === 'gatherRows' || reader.kind === 'meanRows');
  const direct = linearReaders(unit, tensor, features, own, moved.length);
  if (!direct) return undefined;
  const reads: ChannelReads[] = [{ tensors: direct.length > 0 ? [tensor] : [], readers: direct, padded: false }];
  for (const operation of moved) {
    const behind = operation.features === features ? channelReads(unit, operation.output, features, own) : undefined;
    if (!behind) return undefined;
    const padded = behind.padded || (operation.kind === 'gatherRows' && operation.indices.some((row) => row < 0));
    reads.push({ ...behind, padded });
  }
  return {
    tensors: reads.flatMap(({ tensors }) => tensors),
    readers: reads.flatMap(({ readers }) => readers),
    padded: reads.some(({ padded }) => padded),
  };
}

function matmulSites(unit: Unit, product: MatmulOperation, own: IsOwn): FoldingSite[] {
  const [a, b] = [makerOf(unit, product.a.tensor), makerOf(unit, product.b.tensor)];
  if (b?.kind !== 'linear' || !own(b)) return [];
  if (a?.kind === 'softmax' && sumsToOne(product.a, a.columns, product.depth)) return valueSite(unit, product, b, own);
  if (a?.kind === 'linear' && own(a)) return keySite(unit, product, a, b);
  return [];
}

function valueSite(unit: Unit, product: MatmulOperation, maker: LinearOperation, own: IsOwn): ValueSite[] {
  const { b, output, heads: count, columns } = product;
  const [reader] = readersOf(unit, output.tensor);
  if (reader?.kind !== 'linear') return [];
  const readers = linearReaders(unit, output.tensor, reader.inFeatures, own);
  const made = headChannels(b.rowStride, b.columnStride, b, count, columns, maker.outFeatures);
  const mixed = headChannels(output.rowStride, output.columnStride, output, count, columns, reader.inFeatures);
  const heads = pairs(made, mixed);
  if (!readers || !heads || !readOnce(unit, maker, made)) return [];
  return [
    {
      kind: 'values',
      maker,
      made: channelTensor(unit, maker.output, maker.outFeatures),
      mixed: channelTensor(unit, output.tensor, reader.inFeatures),
      readers,
      heads,
    },
  ];
}

function keySite(unit: Unit, product: MatmulOperation, queryMaker: LinearOperation, keyMaker: LinearOperation) {
  const { a, b, output, heads: count, depth, columns } = product;
  const softmax = softmaxOf(unit, output.tensor);
  if (!softmax || !sumsToOne(output, softmax.columns, columns)) return [];
  const queries = headChannels(a.rowStride, a.columnStride, a, count, depth, queryMaker.outFeatures);
  const keys = headChannels(b.columnStride, b.rowStride, b, count, depth, keyMaker.outFeatures);
  const heads = pairs(queries, keys);
  if (!heads || !readOnce(unit, queryMaker, queries) || !readOnce(unit, keyMaker, keys)) return [];
  const site: KeySite = {
    kind: 'keys',
    queryMaker,
    queries: channelTensor(unit, queryMaker.output, queryMaker.outFeatures),
    keyMaker,
    keys: channelTensor(unit, keyMaker.output, keyMaker.outFeatures),
    heads,
  };
  return [site];
}

/**
 * The linear layers that read a tensor row by row; undefined when more than `others` operations besides them do, nothing does, or one
 * of them shares its parameters.
 */
function linearReaders(
  unit: Unit,
  tensor: string,
  features: number,
  own: IsOwn,
  others = 0,
): LinearOperation[] | undefined {
  const readers = readersOf(unit, tensor);
  const linear = readers.filter(
    (reader): reader is LinearOperation =>
      reader.kind === 'linear' && reader.operand === 'plain' && reader.inFeatures === features && own(reader),
  );
  const known = linear.length + others;
  return unit.output !== tensor && known > 0 && known === readers.length ? linear : undefined;
}

/** The softmax that alone reads logits, with a bias added or not: what a row of them has in common does not pass it. */
function softmaxOf(unit: Unit, tensor: string): SoftmaxOperation | undefined {
  const [reader, ...others] = readersOf(unit, tensor);
  if (others.length > 0 || unit.output === tensor) return undefined;
  if (reader?.kind === 'attentionBias') return softmaxOf(unit, reader.output);
  return reader?.kind === 'softmax' ? reader : undefined;
}

/** Whether rows of a view are whole rows of a softmax of `columns` columns. */
function sumsToOne(view: MatrixView, columns: number, viewColumns: number): boolean {
  const { offset, headStride, rowStride, columnStride } = view;
  const aligned = [offset, headStride, rowStride].every((value) => value % columns === 0);
  return aligned && columnStride === 1 && viewColumns === columns;
}

/** Features of the channels of each head in a tensor of `width` features a row; none unless `positionStride` is whole rows. */
function headChannels(
  positionStride: number,
  channelStride: number,
  { offset, headStride }: MatrixView,
  heads: number,
  channels: number,
  width: number,
): number[][] {
  if (positionStride % width !== 0) return [];
  return Array.from({ length: heads }, (_, head) =>
    Array.from({ length: channels }, (_, channel) => (offset + head * headStride + channel * channelStride) % width),
  );
}

/** Each head's pairs of `left` and `right`, heads of the same features once; undefined when a feature has two partners. */
function pairs(left: readonly number[][], right: readonly number[][]): [number, number][][] | undefined {
  if (left.length !== right.length || left.length === 0) return undefined;
  const all = left.map((channels, head) =>
    channels.map((feature, i): [number, number] => [feature, right[head]?.[i] as number]),
  );
  const heads = [...new Map(all.map((head) => [head.join(' '), head])).values()];
  const flat = heads.flat();
  const matched = [0, 1].every((side) => new Set(flat.map((pair) => pair[side])).size === flat.length);
  return matched ? heads : undefined;
}

/** Whether one view alone reads the features `heads` of what a linear layer makes. */
function readOnce(unit: Unit, { output, outFeatures }: LinearOperation, heads: readonly number[][]): boolean {
  if (unit.output === output) return false;
  const counts = new Uint32Array(outFeatures);
  for (const reader of readersOf(unit, output)) {
    for (const feature of featuresRead(reader, output, outFeatures)) counts[feature] = (counts[feature] as number) + 1;
  }
  return heads.flat().every((channel) => counts[channel] === 1);
}

/** Features of a tensor that an operation reads; once more for each view that reads them. */
function featuresRead(operation: Operation, tensor: string, width: number): number[] {
  if (operation.kind !== 'matmul') return Array.from({ length: width }, (_, feature) => feature);
  const { a, b, heads, rows, depth, columns } = operation;
  const read = (view: MatrixView, viewRows: number, viewColumns: number): number[] => {
    if (view.tensor !== tensor) return [];
    let features = [view.offset % width];
    const steps = [
      [view.headStride, heads],
      [view.rowStride, viewRows],
      [view.columnStride, viewColumns],
    ] as const;
    for (const [stride, count] of steps) {
      if (stride % width === 0) continue; // whole rows: the same features again
      features = features.flatMap((at) => Array.from({ length: count }, (_, i) => (at + i * stride) % width));
    }
    return [...new Set(features)];
  };
  return [...read(a, rows, depth), ...read(b, depth, columns)];
}

function channelTensor(unit: Unit, tensor: string, columns: number): ChannelTensor {
  const rows = (unit.elements[tensor] as number) / columns;
  return { unit: unit.name, tensor, name: `${unit.name}.${tensor}`, rows, columns };
}

function makerOf(unit: Unit, tensor: string): Operation | undefined {
  return unit.operations.find((operation) => outputOf(operation) === tensor);
}

function readersOf(unit: Unit, tensor: string): Operation[] {
  return unit.operations.filter((operation) => inputsOf(operation).includes(tensor));
}

function inputsOf(operation: Operation): string[] {
  switch (operation.kind) {
    case 'matmul':
      return [operation.a.tensor, operation.b.tensor];
    case 'add':
      return [operation.a, operation.b];
    default:
      return [operation.input];
  }
}

/** How many operations read each parameter. */
function parameterUsers({ units }: Network): ReadonlyMap<string, number> {
  const users = new Map<string, number>();
  for (const name of units.flatMap(({ operations }) => operations.flatMap(parametersOf))) {
    users.set(name, (users.get(name) ?? 0) + 1);
  }
  return users;
}
