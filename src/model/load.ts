import { FormatError } from '../io/errors.ts';
import { assertFinite } from '../io/readTensor.ts';
import { readCheckpoint, type CheckpointTensor, type WeightsShard } from './checkpointTensors.ts';
import type { ModelConfig } from './config.ts';
import { deriveParameters } from './deriveParameters.ts';
import type { Network } from './graph.ts';
import { findLayout, type FileNames } from './layouts.ts';
import { buildNetwork } from './network.ts';
import { parameterShapes, type Parameter } from './parameters.ts';
import { parseConfig } from './parseConfig.ts';

export type { Parameter };

/** A float model in host memory. */
export interface Model {
  readonly config: ModelConfig;
  readonly network: Network;
  /** By the names that the network has, canonical (timm) ones but for what `deriveParameters` makes. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Of the weights file; of several files as `hashOfShards` says. */
  readonly weightsSha256: string;
}

/**
 * Reads a ViT, DeiT or Swin from the contents of `config.json` and `model.safetensors` in any layout of layouts.ts; F16 and BF16
 * weights become f32. A config of Hugging Face needs `preprocessorJson`, the contents of `preprocessor_config.json`, too.
 *
 * @throws FormatError naming the file and the tensor: unsupported architecture, missing, unexpected or misshapen tensors
 *   (shape seen and expected), a value that is not finite
 */
export async function loadModel(files: {
  readonly configJson: string;
  readonly preprocessorJson?: string | undefined;
  /** One file, or several that are read one after another. */
  readonly weights: Uint8Array | readonly WeightsShard[];
  /** Names for messages; that of the weights is for several files the name of their index. */
  readonly configFile?: string;
  readonly preprocessorFile?: string;
  readonly weightsFile?: string;
}): Promise<Model> {
  const { preprocessorJson, preprocessorFile = 'preprocessor_config.json' } = files;
  const config = parseConfig(
    files.configJson,
    files.configFile ?? 'config.json',
    preprocessorJson === undefined ? undefined : { json: preprocessorJson, file: preprocessorFile },
  );
  const { weights, weightsFile = 'model.safetensors' } = files;
  const { tensors, sha256 } = await readCheckpoint(
    weights instanceof Uint8Array
      ? [{ name: weightsFile, file: weightsFile, read: () => Promise.resolve(weights) }]
      : weights,
  );
  const shapes = parameterShapes(config);
  const names = findLayout(new Set(tensors.keys()), [...shapes.keys()]);
  checkNames(tensors, shapes, names, weightsFile);
  const parameters = new Map<string, Parameter>();
  for (const [name, shape] of shapes) {
    parameters.set(name, readParameter(names.inFile(name), tensors, shape));
  }
  return {
    config,
    network: buildNetwork(config),
    parameters: deriveParameters(config, parameters),
    weightsSha256: sha256,
  };
}

function checkNames(
  tensors: ReadonlyMap<string, CheckpointTensor>,
  shapes: ReadonlyMap<string, readonly number[]>,
  { inFile, isIgnored }: FileNames,
  file: string,
): void {
  const missing: string[] = [];
  const wanted = new Set<string>();
  for (const [canonical, shape] of shapes) {
    const names = inFile(canonical);
    for (const name of names) {
      wanted.add(name);
      if (!tensors.has(name)) missing.push(described(name, partShape(shape, names.length)));
    }
  }
  const unexpected = [...tensors]
    .filter(([name]) => !wanted.has(name) && !isIgnored(name))
    .map(([name, { shape }]) => described(name, shape));
  if (missing.length === 0 && unexpected.length === 0) return;
  const faults = [
    ...(missing.length > 0 ? [`missing ${listed(missing)}`] : []),
    ...(unexpected.length > 0 ? [`unexpected ${listed(unexpected)}`] : []),
  ];
  throw new FormatError(
    `${file}: ${faults.join('; ')}. config.json may describe another model, or the model has parts that are not supported.`,
  );
}

function described(name: string, shape: readonly number[]): string {
  return `${name} [${shape.join(', ')}]`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  const count = names.length === 1 ? 'tensor' : `${names.length} tensors:`;
  return `${count} ${shown}${names.length > 10 ? `, and ${names.length - 10} more` : ''}`;
}

/** Of one of `parts` tensors that are joined along the first axis. */
function partShape(shape: readonly number[], parts: number): number[] {
  return [(shape[0] as number) / parts, ...shape.slice(1)];
}

/** One tensor, or several of equal shape joined along the first axis. */
function readParameter(
  names: readonly string[],
  tensors: ReadonlyMap<string, CheckpointTensor>,
  shape: readonly number[],
): Parameter {
  const expected = partShape(shape, names.length);
  const parts = names.map((name) => {
    const tensor = tensors.get(name) as CheckpointTensor;
    if (tensor.shape.length !== expected.length || tensor.shape.some((size, i) => size !== expected[i])) {
      throw new FormatError(
        `${tensor.file}: tensor ${JSON.stringify(name)} has shape [${tensor.shape.join(', ')}], expected [${expected.join(', ')}] from config.json`,
      );
    }
    const values = tensor.values();
    assertFinite(name, values, tensor.file);
    return values;
  });
  if (parts.length === 1) return { shape, values: parts[0] as Float32Array };
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  parts.forEach((part, i) => values.set(part, i * part.length));
  return { shape, values };
}
