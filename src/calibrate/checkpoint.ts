import type { AdapterDescription } from '../gpu/device.ts';
import { readF32, readI8 } from '../io/readTensor.ts';
import { parseSafetensors, writeSafetensors, type TensorEntry, type TensorToWrite } from '../io/safetensors.ts';
import { sha256 } from '../io/sha256.ts';
import type { Model } from '../model/load.ts';
import type { CalibrationOptions } from './options.ts';
import type { QuantizedWeight } from './quantizeWeights.ts';
import type { LayerRecipe } from './recipe.ts';
import { weightTensors } from './weightsFile.ts';

/** Keeps the results of finished units of a job, outside the output folder. A store that fails to write says nothing. */
export interface CheckpointStore {
  /** @param job hexadecimal key of everything that the results depend on */
  read(job: string, unit: string): Promise<Uint8Array | undefined>;
  write(job: string, unit: string, bytes: Uint8Array): Promise<void>;
  /** The job is done: its results are no longer needed. */
  remove(job: string): Promise<void>;
}

/** What a unit leaves behind: its layers, their weights, and the gradient of its input that the unit before it needs. */
interface Checkpoint {
  readonly key: string;
  readonly layers: readonly LayerRecipe[];
  /** By layer name. */
  readonly weights: ReadonlyMap<string, QuantizedWeight>;
  /** f32, all images in order; undefined for the first unit and for metrics without a gradient. */
  readonly gradients: Float32Array | undefined;
}

/** Raised whenever the search or a kernel changes what a calibration gives, so that no run goes on from results of another method. */
const METHOD_VERSION = 3;

/** Everything that the float gradients and the recipe depend on: a checkpoint of another run is not used. */
export async function checkpointKey(
  model: Model,
  images: readonly { readonly sha256: string; readonly label?: number }[],
  options: CalibrationOptions,
  adapter: AdapterDescription,
): Promise<string> {
  const facts = [
    METHOD_VERSION,
    model.weightsSha256,
    model.config,
    images.map(({ sha256: hash, label }) => (label === undefined ? hash : [hash, label])),
    options,
    adapter,
  ];
  return sha256(new TextEncoder().encode(JSON.stringify(facts)));
}

export function encodeCheckpoint({ key, layers, weights, gradients }: Checkpoint): Uint8Array {
  const tensors: TensorToWrite[] = [...weights].flatMap(([name, weight]) => weightTensors(name, weight));
  if (gradients) tensors.push({ name: 'gradients', dtype: 'F32', shape: [gradients.length], data: gradients });
  return writeSafetensors(tensors, { key, layers: JSON.stringify(layers) });
}

/** The checkpoint in `bytes`, or undefined when there is none of this run: an unreadable or foreign one only costs its work. */
export function decodeCheckpoint(bytes: Uint8Array | undefined, key: string): Checkpoint | undefined {
  if (!bytes) return undefined;
  try {
    const { metadata, tensors } = parseSafetensors(bytes, 'checkpoint');
    if (metadata['key'] !== key || metadata['layers'] === undefined) return undefined;
    const layers = JSON.parse(metadata['layers']) as LayerRecipe[];
    const gradients = tensors.get('gradients');
    const weights = new Map(
      layers
        .filter(({ kind }) => kind === 'linear')
        .map(({ name }): [string, QuantizedWeight] => {
          const codes = tensors.get(`${name}.codes`) as TensorEntry;
          const bias = tensors.get(`${name}.bias`);
          const [outFeatures, inFeatures] = codes.shape as [number, number];
          return [
            name,
            {
              codes: readI8(codes),
              shape: [outFeatures, inFeatures],
              scales: readF32(tensors.get(`${name}.scales`) as TensorEntry),
              bias: bias ? readF32(bias) : null,
            },
          ];
        }),
    );
    return { key, layers, weights, gradients: gradients && readF32(gradients) };
  } catch {
    return undefined;
  }
}
