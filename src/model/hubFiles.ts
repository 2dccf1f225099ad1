import { HubError } from '../io/hub/errors.ts';
import type { HubFile, HubRepository } from '../io/hub/repository.ts';
import { CONFIG_FILE, INDEX_FILE, PROCESSOR_FILE, WEIGHTS_FILE } from './modelFiles.ts';

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
  const config = files.get(CONFIG_FILE);
  if (!config) throw new HubError(`${where} has no ${CONFIG_FILE}: it is no model of timm or Transformers`);
  const weights = files.get(WEIGHTS_FILE);
  const index = weights ? undefined : files.get(INDEX_FILE);
  if (!weights && !index) {
    const pickle = [...files.keys()].find((path) => /^[^/]+\.(?:bin|pth?|pkl|ckpt)$/.test(path));
    const only = pickle === undefined ? '' : `, only ${pickle}, a format that runs code when it is read`;
    throw new HubError(
      `${where} has no ${WEIGHTS_FILE}${only}; look for a revision with safetensors (often refs/pr/1), or convert it: ` +
        'https://huggingface.co/spaces/safetensors/convert',
    );
  }
  const preprocessor = files.get(PROCESSOR_FILE);
  return { files: [config, ...(preprocessor ? [preprocessor] : []), ...(weights ? [weights] : [])], index };
}

/**
 * The files of the weights that an index names.
 *
 * @throws HubError when the repository lacks one
 */
export function shardFiles({ reference, files }: HubRepository, names: readonly string[], endpoint: string): HubFile[] {
  return names.map((name) => {
    const file = files.get(name);
    if (file) return file;
    throw new HubError(
      `${reference.repository}@${reference.revision} at ${endpoint} has no ${name}, which its ${INDEX_FILE} names`,
    );
  });
}
