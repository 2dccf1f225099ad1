import { FormatError } from '../io/errors.ts';
import { readF32 } from '../io/readTensor.ts';
import { parseSafetensors } from '../io/safetensors.ts';
import { sha256 } from '../io/sha256.ts';

/** One safetensors file of a checkpoint. */
export interface WeightsShard {
  /** Its name in the folder of the model. */
  readonly name: string;
  /** For messages. */
  readonly file: string;
  readonly read: () => Promise<Uint8Array>;
}

/** A tensor of a checkpoint, whatever file it lies in. */
export interface CheckpointTensor {
  readonly shape: readonly number[];
  readonly file: string;
  /** F32, F16 or BF16 as f32; FormatError for any other dtype. */
  readonly values: () => Float32Array;
}

export interface CheckpointTensors {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Of the file; of several files see `hashOfShards`. */
  readonly sha256: string;
}

const FLOATS: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16']);

/**
 * The tensors of all shards, read one after another: besides the f32 values, the bytes of one shard are in memory at a time.
 *
 * @throws FormatError for a malformed shard, and for a tensor that two shards hold
 */
export async function readCheckpoint(shards: readonly WeightsShard[]): Promise<CheckpointTensors> {
  const tensors = new Map<string, CheckpointTensor>();
  const hashes: { readonly name: string; readonly hash: string }[] = [];
  for (const { name, file, read } of shards) {
    const bytes = await read();
    hashes.push({ name, hash: await sha256(bytes) });
    for (const [key, entry] of parseSafetensors(bytes, file).tensors) {
      const other = tensors.get(key);
      if (other) throw new FormatError(`${file}: tensor ${JSON.stringify(key)} is in ${other.file} too`);
      const { shape, dtype } = entry;
      const converted = FLOATS.has(dtype) ? readF32(entry) : undefined;
      const values = () => converted ?? readF32({ name: key, dtype, shape, file, bytes: new Uint8Array() });
      tensors.set(key, { shape, file, values });
    }
  }
  return { tensors, sha256: hashes.length === 1 ? (hashes[0]?.hash as string) : await hashOfShards(hashes) };
}

/**
 * The hash of a checkpoint in several files: that of a text of one line a file, `<SHA-256 in hexadecimal>  <name>`, in the order
 * of the names, which `sha256sum *.safetensors | sha256sum` gives as well.
 */
export function hashOfShards(shards: readonly { readonly name: string; readonly hash: string }[]): Promise<string> {
  const lines = [...shards].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, hash }) => `${hash}  ${name}\n`);
  return sha256(new TextEncoder().encode(lines.join('')));
}
