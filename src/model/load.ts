import { FormatError } from '../io/errors.ts';
import { assertFinite, readF32 } from '../io/readTensor.ts';
import { parseSafetensors, type TensorEntry } from '../io/safetensors.ts';
import { sha256 } from '../io/sha256.ts';
import type { ModelConfig } from './config.ts';
import { parseConfig } from './parseConfig.ts';
import type { Network } from './graph.ts';
import { findLayout, type NameLookup } from './layouts.ts';
import { parameterShapes } from './parameters.ts';
import { buildNetwork } from './network.ts';

export interface Parameter {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Float32Array;
}

/** A float model in host memory. */
export interface Model {
  readonly config: ModelConfig;
  readonly network: Network;
  /** By canonical (timm) name. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Of the weights file. */
  readonly weightsSha256: string;
  /** `config.json` as read. */
  readonly rawConfig: unknown;
}

/**
 * Reads a ViT or DeiT from the contents of `config.json` and `model.safetensors`; F16 and BF16 weights become f32.
 *
 * @throws FormatError naming the file and the tensor: unsupported architecture, missing, unexpected or misshapen tensor
 *   (shape seen and expected), a value that is not finite
 */
export async function loadModel(files: {
  readonly configJson: string;
  readonly weights: Uint8Array;
  /** Names for messages. */
  readonly configFile?: string;
  readonly weightsFile?: string;
}): Promise<Model> {
  const { config, rawConfig } = parseConfig(files.configJson, files.configFile ?? 'config.json');
  const weightsFile = files.weightsFile ?? 'model.safetensors';
  const { tensors } = parseSafetensors(files.weights, weightsFile);
  const shapes = parameterShapes(config);
  const inFile = findLayout(new Set(tensors.keys()), [...shapes.keys()]);
  checkNames(tensors, shapes, inFile, weightsFile);
  const parameters = new Map<string, Parameter>();
  for (const [name, shape] of shapes) {
    parameters.set(name, readParameter(inFile(name), tensors, shape, weightsFile));
  }
  return {
    config,
    network: buildNetwork(config),
    parameters,
    weightsSha256: await sha256(files.weights),
    rawConfig,
  };
}

function checkNames(
  tensors: ReadonlyMap<string, TensorEntry>,
  shapes: ReadonlyMap<string, readonly number[]>,
  inFile: NameLookup,
  file: string,
): void {
  const wanted = new Set([...shapes.keys()].flatMap(inFile));
  const missing = [...shapes].flatMap(([name, shape]) =>
    inFile(name)
      .filter((n) => !tensors.has(n))
      .map((n) => `${n} [${shape.join(', ')}]`),
  );
  if (missing.length > 0) {
    throw new FormatError(`${file}: missing ${listed(missing)}. config.json may describe another model.`);
  }
  const unexpected = [...tensors]
    .filter(([name]) => !wanted.has(name))
    .map(([name, { shape }]) => `${name} [${shape.join(', ')}]`);
  if (unexpected.length > 0) {
    throw new FormatError(
      `${file}: unexpected ${listed(unexpected)}. The model has parts that config.json does not name or that are not supported.`,
    );
  }
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  const count = names.length === 1 ? 'tensor' : `${names.length} tensors:`;
  return `${count} ${shown}${names.length > 10 ? `, and ${names.length - 10} more` : ''}`;
}

/** One tensor, or several of equal trailing shape joined along the first axis. */
function readParameter(
  names: readonly string[],
  tensors: ReadonlyMap<string, TensorEntry>,
  shape: readonly number[],
  file: string,
): Parameter {
  const expected = [(shape[0] as number) / names.length, ...shape.slice(1)];
  const parts = names.map((name) => {
    const entry = tensors.get(name) as TensorEntry;
    if (entry.shape.length !== expected.length || entry.shape.some((size, i) => size !== expected[i])) {
      throw new FormatError(
        `${file}: tensor ${JSON.stringify(name)} has shape [${entry.shape.join(', ')}], expected [${expected.join(', ')}] from config.json`,
      );
    }
    const values = readF32(entry);
    assertFinite(name, values, file);
    return values;
  });
  if (parts.length === 1) return { shape, values: parts[0] as Float32Array };
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  parts.forEach((part, i) => values.set(part, i * part.length));
  return { shape, values };
}
