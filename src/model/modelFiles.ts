import { FormatError } from '../io/errors.ts';
import type { WeightsShard } from './checkpointTensors.ts';
import { JsonFields } from './jsonFields.ts';
import { loadModel, type Model } from './load.ts';

/** The files of a model wherever they lie: a folder, a cache, what a page was given. */
export interface ModelFiles {
  readonly names: ReadonlySet<string>;
  readonly read: (name: string) => Promise<Uint8Array>;
  /** A name for messages: the path in a folder. */
  readonly path: (name: string) => string;
}

export const CONFIG_FILE = 'config.json';
export const PROCESSOR_FILE = 'preprocessor_config.json';
export const WEIGHTS_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/** Pickled weights: opening one runs whatever its author put in. */
const PICKLE = /\.(?:bin|pth|pt|ckpt|pkl|pth\.tar)$/;

/**
 * Reads the model of `config.json`, `preprocessor_config.json` where there is one, and the weights in `model.safetensors` or in the
 * shards that `model.safetensors.index.json` names, which are read one after another.
 *
 * @throws FormatError what `loadModel` throws; for files that are missing, and for weights that are a PyTorch pickle, with the way
 *   to convert them
 */
export async function loadModelFiles({ names, read, path }: ModelFiles): Promise<Model> {
  const text = async (name: string) => new TextDecoder('utf-8').decode(await read(name));
  const hasWeights = names.has(WEIGHTS_FILE) || names.has(INDEX_FILE);
  if (!hasWeights) refusePickles(names, path);
  for (const name of hasWeights ? [CONFIG_FILE] : [CONFIG_FILE, WEIGHTS_FILE]) {
    if (names.has(name)) continue;
    throw new FormatError(`${path(name)} does not exist; a model folder holds ${CONFIG_FILE} and ${WEIGHTS_FILE}`);
  }
  const shared = {
    configJson: await text(CONFIG_FILE),
    preprocessorJson: names.has(PROCESSOR_FILE) ? await text(PROCESSOR_FILE) : undefined,
    configFile: path(CONFIG_FILE),
    preprocessorFile: path(PROCESSOR_FILE),
  };
  if (names.has(WEIGHTS_FILE)) {
    const file = path(WEIGHTS_FILE);
    const weights = [{ name: WEIGHTS_FILE, file, read: () => read(WEIGHTS_FILE) }];
    return loadModel({ ...shared, weights, weightsFile: file });
  }
  const index = path(INDEX_FILE);
  const shards = shardNames(await text(INDEX_FILE), index);
  const weights = shards.map((name): WeightsShard => {
    if (!names.has(name)) {
      throw new FormatError(`${path(name)} does not exist; ${index} names ${shards.length} files with the weights`);
    }
    return { name, file: path(name), read: () => read(name) };
  });
  return loadModel({ ...shared, weights, weightsFile: index });
}

/**
 * Names of the files that an index of shards names, in their order.
 *
 * @throws FormatError for anything else than an index, and for names that leave the folder
 */
export function shardNames(json: string, file: string): string[] {
  let index: unknown;
  try {
    index = JSON.parse(json);
  } catch (cause) {
    throw new FormatError(`${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const map = new JsonFields(index, file, '').object('weight_map');
  const shards = new Set<string>();
  for (const tensor of map.keys()) {
    const name = map.text(tensor);
    if (!/^[\w-][\w.-]*\.safetensors$/.test(name)) throw map.wrong(tensor, 'the name of a .safetensors file beside it');
    shards.add(name);
  }
  if (shards.size === 0) throw new FormatError(`${file}: weight_map names no file`);
  return [...shards].sort();
}

function refusePickles(names: ReadonlySet<string>, path: (name: string) => string): void {
  const pickles = [...names].sort().filter((each) => PICKLE.test(each));
  const name = pickles.find((each) => each.includes('model')) ?? pickles[0];
  if (name === undefined) return;
  throw new FormatError(
    `${path(name)} is a PyTorch pickle, which can run code when it is opened; only safetensors is read. Convert it beside it: ` +
      `python3 -c "import torch, safetensors.torch as s; d = torch.load('${name}', 'cpu', weights_only=True); ` +
      `d = d.get('model', d.get('state_dict', d)); s.save_file({k: v.clone().contiguous() for k, v in d.items()}, '${WEIGHTS_FILE}')"`,
  );
}
