import { join } from 'node:path';
import { FormatError } from '../io/errors.ts';
import { parseSafetensors, type SafetensorsFile, type TensorEntry } from '../io/safetensors.ts';
import { INDEX_FILE, shardNames, WEIGHTS_FILE } from '../model/modelFiles.ts';
import { exists, readInputFile, readInputText } from './inputFile.ts';

/**
 * All tensors of the checkpoint in a folder as they are, from `model.safetensors` or the shards that its index names, and the
 * metadata of the first file.
 *
 * @throws InputError when a file is missing or unreadable
 * @throws FormatError when one is malformed
 */
export async function readCheckpointTensors(folder: string): Promise<SafetensorsFile> {
  const weights = join(folder, WEIGHTS_FILE);
  if (await exists(weights)) return parseSafetensors(await readInputFile(weights), weights);
  const index = join(folder, INDEX_FILE);
  const tensors = new Map<string, TensorEntry>();
  let metadata: SafetensorsFile['metadata'] | undefined;
  for (const name of shardNames(await readInputText(index), index)) {
    const file = join(folder, name);
    const shard = parseSafetensors(await readInputFile(file), file);
    metadata ??= shard.metadata;
    for (const entry of shard.tensors.values()) {
      if (tensors.has(entry.name))
        throw new FormatError(`${file}: tensor ${JSON.stringify(entry.name)} is there twice`);
      tensors.set(entry.name, entry);
    }
  }
  return { metadata: metadata ?? {}, tensors };
}
