import { describeAdapter } from '../gpu/device.ts';
import type { CodeKind } from '../kernels/codes.ts';
import { describeVariant, matmulVariants, plainVariant, type MatmulVariant } from '../kernels/matmulVariant.ts';
import type { RequantizedType } from '../kernels/requantizedLayout.ts';
import { checkTile, timeTile } from './tileTrial.ts';

/** A product of a program, as far as its best tile depends on it. */
export interface ProductShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
  readonly outputType: RequantizedType;
}

/** Which tile each product of a program takes. Results do not depend on it. */
export interface TileChoice {
  /** For one of the shapes that the choice was made for, else the plain variant. */
  variantFor(shape: ProductShape): MatmulVariant;
}

/** Remembers choices between sessions: text under a key that names the adapter, its driver and the shape. */
export interface TileCache {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
}

export interface TileOptions {
  /** Default: a memory of this device's. */
  readonly cache?: TileCache;
  /** Told of every variant that gave other words than the reference, which is then not used. */
  readonly onWrong?: (variant: MatmulVariant) => void;
  /** The check of a variant; default `checkTile`, against the reference. */
  readonly check?: typeof checkTile;
  /** The clock; default `timeTile`. */
  readonly time?: typeof timeTile;
}

/**
 * Chooses a tile for each of `shapes` on `device`: a remembered one, else the fastest of a short trial on a product like it. A
 * variant is used for a kind of codes and an output only after it gave the words of the reference for both.
 */
export async function chooseTiles(
  device: GPUDevice,
  shapes: readonly ProductShape[],
  { cache = memoryOf(device), onWrong, check = checkTile, time = timeTile }: TileOptions = {},
): Promise<TileChoice> {
  const chosen = new Map<string, MatmulVariant>();
  const trials = new Map<string, Promise<readonly MatmulVariant[]>>();
  const checks = new Map<string, Promise<boolean>>();
  const isRight = (variant: MatmulVariant, kind: CodeKind, type: RequantizedType) => {
    const key = JSON.stringify([variant, kind, type]);
    let right = checks.get(key);
    if (!right) checks.set(key, (right = check(device, variant, kind, type)));
    return right;
  };
  for (const shape of shapes) {
    if (chosen.has(shapeKey(shape))) continue;
    const trial = trialOf(device, shape);
    let ranking = trials.get(trial.key);
    if (!ranking) trials.set(trial.key, (ranking = ranked(device, trial, cache, time)));
    chosen.set(shapeKey(shape), plainVariant(shape.columns)); // where nothing else is right
    for (const variant of await ranking) {
      if (await isRight(variant, shape.aKind, shape.outputType)) {
        chosen.set(shapeKey(shape), variant);
        break;
      }
      onWrong?.(variant);
    }
  }
  return { variantFor: (shape) => chosen.get(shapeKey(shape)) ?? plainVariant(shape.columns) };
}

/** Batches of any size take the same tile. */
function shapeKey({ rows, depth, columns, aKind, outputType }: ProductShape): string {
  return [rows, depth, columns, aKind, outputType].join(' ');
}

/** What is timed for a shape: many shapes share one trial. */
interface Trial {
  readonly key: string;
  readonly sizes: Readonly<Record<'images' | 'heads' | 'rows' | 'depth' | 'columns', number>>;
  readonly kind: CodeKind;
  readonly type: RequantizedType;
  readonly candidates: readonly MatmulVariant[];
}

/** Multiply-accumulates that a software adapter does in a few milliseconds, and a GPU needs to be busy. */
const TRIAL_SIZE = { software: 2 ** 23, hardware: 2 ** 28 };

function trialOf(device: GPUDevice, { rows, depth, columns, aKind, outputType }: ProductShape): Trial {
  const { software } = describeAdapter({ info: device.adapterInfo });
  const timedRows = rows <= 16 ? rows : Math.min(rows, 208);
  const work = TRIAL_SIZE[software ? 'software' : 'hardware'] / (timedRows * depth * columns);
  const type = outputType === 'codes' || outputType === 'int16' ? 'codes' : 'int32'; // lanes own adjacent columns, or spread ones
  const sizes = {
    images: Math.max(1, Math.min(16, Math.round(work))),
    heads: 1,
    rows: work < 0.5 ? Math.max(32, 16 * Math.round((timedRows * work) / 16)) : timedRows,
    depth,
    columns,
  };
  const { vendor, architecture, description, subgroupMinSize, subgroupMaxSize } = device.adapterInfo;
  const adapter = [vendor, architecture, device.adapterInfo.device, description, subgroupMinSize, subgroupMaxSize];
  const kind = aKind === 'uniform' ? 'uniform' : 'twin-gelu'; // twin codes of both kinds cost the same
  const candidates = candidatesFor(device, columns);
  const names = candidates.map(describeVariant); // a choice among other candidates is none
  return {
    key: JSON.stringify(['tile 2', ...adapter, ...Object.values(sizes), kind, type, ...names]),
    ...{ sizes, kind, type, candidates },
  };
}

/** Candidates are timed in turns so often: what else runs on the machine for a while then meets all of them. */
const ROUNDS = 2;

/** The candidates of a trial, the remembered or fastest one first. */
async function ranked(
  device: GPUDevice,
  { key, sizes, kind, type, candidates }: Trial,
  cache: TileCache,
  time: typeof timeTile,
): Promise<readonly MatmulVariant[]> {
  const known = await cache.get(key);
  const remembered = matmulVariants(device).find((variant) => JSON.stringify(variant) === known);
  if (remembered) return [remembered, ...candidates.filter((variant) => JSON.stringify(variant) !== known)];
  const best = new Map<MatmulVariant, number>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const variant of candidates) {
      best.set(variant, Math.min(best.get(variant) ?? Infinity, await time(device, variant, sizes, kind, type)));
    }
  }
  const order = [...best].sort(([, x], [, y]) => x - y).map(([variant]) => variant);
  if (order[0]) await cache.set(key, JSON.stringify(order[0]));
  return order;
}

/**
 * Variants worth a trial: the width that pads `columns` least, and on software adapters, which compile for a good part of a
 * second, neither workgroup memory (1.5 to 6 times slower there) nor less sharing than the subgroups allow.
 */
function candidatesFor(device: GPUDevice, columns: number): MatmulVariant[] {
  const { software } = describeAdapter({ info: device.adapterInfo });
  const plain = plainVariant(columns);
  const all = matmulVariants(device).filter(
    (variant) => variant.style === 'workgroup' || variant.lanes === (plain as { readonly lanes: number }).lanes,
  );
  if (!software) return all;
  const shares = all.map((variant) => (variant.style === 'subgroups' ? variant.share : 0));
  const most = Math.max(...shares);
  return all.filter(({ style }, i) => style !== 'workgroup' && (style === 'plain' || shares[i] === most));
}

const memories = new WeakMap<GPUDevice, TileCache>();

function memoryOf(device: GPUDevice): TileCache {
  let memory = memories.get(device);
  if (!memory) {
    const entries = new Map<string, string>();
    memory = {
      get: (key) => Promise.resolve(entries.get(key)),
      set: (key, value) => Promise.resolve(void entries.set(key, value)),
    };
    memories.set(device, memory);
  }
  return memory;
}
