import { parseJson } from '../parseJson.ts';
import { HubError } from './errors.ts';
import type { HubFile, HubRepository } from './repository.ts';

export const CONFIG = 'config.json';
export const PREPROCESSOR = 'preprocessor_config.json';
export const WEIGHTS = 'model.safetensors';
export const INDEX = 'model.safetensors.index.json';

/** What a model needs of its repository. */
export interface NeededFiles {
  /** `config.json`, `preprocessor_config.json` where there is one, and `model.safetensors` where the weights are in one file. */
  readonly files: readonly HubFile[];
  /** Where they are in several: the file that names them. */
  readonly index: HubFile | undefined;
}

/**
 * The files to fetch of a repository.
 *
 * @throws HubError when it holds no model that could be loaded
 */
export function neededFiles(
  { reference: { repository, revision }, files }: HubRepository,
  endpoint: string,
): NeededFiles {
  const where = `${repository}@${revision} at ${endpoint}`;
  const config = files.get(CONFIG);
  if (!config) throw new HubError(`${where} has no ${CONFIG}: it is no model of timm or Transformers`);
  const weights = files.get(WEIGHTS);
  const index = weights ? undefined : files.get(INDEX);
  if (!weights && !index) {
    const pickle = [...files.keys()].find((path) => /^[^/]+\.(?:bin|pth?|pkl|ckpt)$/.test(path));
    const only = pickle === undefined ? '' : `, only ${pickle}, a format that runs code when it is read`;
    throw new HubError(
      `${where} has no ${WEIGHTS}${only}; look for a revision with safetensors (often refs/pr/1), or convert it: ` +
        'https://huggingface.co/spaces/safetensors/convert',
    );
  }
  const preprocessor = files.get(PREPROCESSOR);
  return { files: [config, ...(preprocessor ? [preprocessor] : []), ...(weights ? [weights] : [])], index };
}

/**
 * The names of the weight files that `model.safetensors.index.json` lists, each once and sorted.
 *
 * @param file names it in errors
 * @throws HubError for a name that is not of one file beside it
 * @throws FormatError when it is no JSON
 */
export function shardNames(indexText: string, file: string): string[] {
  const { weight_map: map } = (parseJson(indexText, file) ?? {}) as { weight_map?: unknown };
  const names = typeof map === 'object' && map !== null && !Array.isArray(map) ? Object.values(map) : [];
  const unique = [...new Set<unknown>(names)];
  for (const name of unique) {
    if (typeof name !== 'string' || !/^[\w-][\w.-]*\.safetensors$/.test(name)) {
      throw new HubError(
        `${file} names ${JSON.stringify(name)} as a weight file, which is no safetensors file beside it`,
      );
    }
  }
  if (unique.length === 0) throw new HubError(`${file} has no "weight_map" that names weight files`);
  return (unique as string[]).sort();
}

/**
 * The files of these names.
 *
 * @throws HubError when the repository lacks one
 */
export function shardFiles({ reference, files }: HubRepository, names: readonly string[], endpoint: string): HubFile[] {
  return names.map((name) => {
    const file = files.get(name);
    if (file) return file;
    throw new HubError(
      `${reference.repository}@${reference.revision} at ${endpoint} has no ${name}, which its ${INDEX} names`,
    );
  });
}
