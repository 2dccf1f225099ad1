import type { AdapterDescription } from '../gpu/device.ts';
import { parseSafetensors, writeSafetensors } from '../io/safetensors.ts';
import { readF32 } from '../io/readTensor.ts';
import { sha256 } from '../io/sha256.ts';
import type { Model } from '../model/load.ts';
import type { CalibrationOptions, LayerRecipe } from './recipe.ts';

/** Keeps the results of finished units under their names, outside the output folder. */
export interface CheckpointStore {
  read(unit: string): Promise<Uint8Array | undefined>;
  write(unit: string, bytes: Uint8Array): Promise<void>;
}

/** What a unit leaves behind: its layers, and the gradient of its input that the unit before it needs. */
interface Checkpoint {
  readonly key: string;
  readonly layers: readonly LayerRecipe[];
  /** f32, all images in order; undefined for the first unit and for metrics without a gradient. */
  readonly gradients: Float32Array | undefined;
}

/** Everything that the float gradients and the recipe depend on: a checkpoint of another run is not used. */
export async function checkpointKey(
  model: Model,
  images: readonly { readonly sha256: string }[],
  options: CalibrationOptions,
  adapter: AdapterDescription,
): Promise<string> {
  const facts = [model.weightsSha256, model.rawConfig, images.map((image) => image.sha256), options, adapter];
  return sha256(new TextEncoder().encode(JSON.stringify(facts)));
}

export function encodeCheckpoint({ key, layers, gradients }: Checkpoint): Uint8Array {
  const tensors = gradients
    ? [{ name: 'gradients', dtype: 'F32' as const, shape: [gradients.length], data: gradients }]
    : [];
  return writeSafetensors(tensors, { key, layers: JSON.stringify(layers) });
}

/** The checkpoint in `bytes`, or undefined when there is none of this run: an unreadable or foreign one only costs its work. */
export function decodeCheckpoint(bytes: Uint8Array | undefined, key: string): Checkpoint | undefined {
  if (!bytes) return undefined;
  try {
    const { metadata, tensors } = parseSafetensors(bytes, 'checkpoint');
    if (metadata['key'] !== key || metadata['layers'] === undefined) return undefined;
    const gradients = tensors.get('gradients');
    return {
      key,
      layers: JSON.parse(metadata['layers']) as LayerRecipe[],
      gradients: gradients && readF32(gradients),
    };
  } catch {
    return undefined;
  }
}
