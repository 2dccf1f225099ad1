/**
 * Runs in a page: our integer products against ONNX Runtime Web's float ones, on the adapter of the browser, in turns.
 * `bench/peers/chromium.ts` serves and calls it.
 */
import { BufferPool } from '../src/gpu/buffers.ts';
import { openGpu, type Gpu } from '../src/gpu/device.ts';
import { release } from '../src/gpu/kernel.ts';
import { openOnnxRuntime, type Peer } from './peers/onnxRuntime.ts';
import { integerProduct, operationsOf, tileName, tilesOf, type Product } from './peers/product.ts';
import { runDispatches } from './peers/runDispatches.ts';
import { alternate, medianOf } from './support/alternate.ts';

/** Products of one kind in a network, and how many of them it has. */
export interface ProductGroup extends Product {
  readonly copies: number;
}

export interface GroupTimes {
  readonly name: string;
  readonly gigaOperations: number;
  readonly peerMs: number;
  readonly ourMs: number;
  readonly tile: string;
  readonly wrongWords: number;
  readonly peerError: number;
}

export interface PageResult {
  readonly adapter: string;
  readonly version: string;
  readonly groups: readonly GroupTimes[];
}

/** Medians for each of `groups`; ONNX Runtime is served at `folder`. */
export async function measure(folder: string, groups: readonly ProductGroup[]): Promise<PageResult> {
  const gpu = await openGpu(navigator.gpu);
  const peer = await openOnnxRuntime(folder);
  const times: GroupTimes[] = [];
  for (const group of groups) times.push(await measureGroup(gpu, peer, group));
  gpu.check();
  const { vendor, architecture, description } = gpu.adapter;
  gpu.destroy();
  return { adapter: description || `${vendor} ${architecture}`, version: peer.version, groups: times };
}

async function measureGroup(gpu: Gpu, peer: Peer, group: ProductGroup): Promise<GroupTimes> {
  const { device } = gpu;
  using pool = new BufferPool(device);
  const scope = pool.scope();
  const tiles = await tilesOf(device, [group]);
  const ours = await Promise.all(
    Array.from({ length: group.copies }, (_, i) => integerProduct(scope, group, tiles, 10 * i)),
  );
  const dispatches = ours.map(({ dispatch }) => dispatch);
  const theirs = await peer.products(group, group.copies);
  const adapter = `${gpu.adapter.vendor} ${gpu.adapter.architecture}`;
  if (theirs.adapter !== adapter) throw new Error(`ONNX Runtime Web runs on ${theirs.adapter}, we on ${adapter}`);
  const runs = [() => theirs.run(), () => runDispatches(device, dispatches)];
  const [peerMs, ourMs] = (await alternate(runs, { least: 3, most: 15, ms: 2000 })).map(medianOf) as [number, number];
  const [wrongWords, peerError] = [await (ours[0] as (typeof ours)[number]).wrongWords(), await theirs.error()];
  await theirs.destroy();
  dispatches.forEach(release);
  scope.release();
  const gigaOperations = (group.copies * operationsOf(group)) / 1e9;
  return { name: group.name, gigaOperations, peerMs, ourMs, tile: tileName(tiles, group), wrongWords, peerError };
}
