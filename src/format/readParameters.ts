import { FormatError } from '../io/errors.ts';
import { readF32, readI16, readI32, readI8, readU16, readU8 } from '../io/readTensor.ts';
import type { SafetensorsDtype, TensorEntry } from '../io/safetensors.ts';
import { unpackSigned } from './bits.ts';
import type { BiasParameters, IntegerModel, LinearParameters, NormParameters, TokensParameters } from './model.ts';
import type { Manifest } from './readManifest.ts';
import type { LinearOperation } from './program.ts';
import {
  linearClass,
  vectorLengths,
  VECTORS,
  weightShape,
  weightTensor,
  type VectorLengths,
  type VectorName,
} from './parameterTensors.ts';

type Tensors = ReadonlyMap<string, TensorEntry>;

/** Vectors of a file as views into it, and how far the operations before have read each. */
interface Cursor {
  readonly vectors: Readonly<Record<VectorName, TensorEntry | undefined>>;
  readonly position: Record<VectorName, number>;
}

/**
 * The parameters of a validated program. Lengths and dtypes of all tensors are compared with the program before a value is read;
 * the values themselves are for `validateParameters`.
 *
 * @param tables names of the tensors that hold the tables of the program
 * @throws FormatError naming the file, the tensor and what it has: missing, unknown, another dtype or shape, padding that is not 0
 */
export function readParameters(
  { program, biasBits }: Pick<Manifest, 'program' | 'biasBits'>,
  tensors: Tensors,
  tables: ReadonlySet<string>,
  file: string,
): Pick<IntegerModel, 'linear' | 'norms' | 'tokens' | 'biases'> {
  const bits = (name: string) => biasBits.get(name) ?? 0;
  const cursor = checkTensors({ program, biasBits }, tensors, tables, file);
  const linear = new Map<string, LinearParameters>();
  const norms = new Map<string, NormParameters>();
  const tokens = new Map<string, TokensParameters>();
  const biases = new Map<string, BiasParameters>();
  for (const operation of program.operations) {
    const lengths = vectorLengths(operation, program, bits);
    const take = (name: VectorName) => part(cursor, name, lengths);
    if (operation.kind === 'linear') {
      const { name, outFeatures } = operation;
      const form = linearClass(operation, program);
      const multipliers = form === 'int32' ? null : Uint32Array.from(readU16(take('linear.multipliers')));
      const bias = take('linear.bias').bytes;
      linear.set(name, {
        codes: readWeight(operation, tensors, file),
        scales: readF32(take('linear.scales')),
        bias:
          bits(name) === 0 ? null : unpacked(bias, bits(name), new Int32Array(outFeatures), `bias of ${name}`, file),
        multipliers,
        shifts: form === 'int32' ? null : readU8(take('linear.shifts')),
      });
    } else if (operation.kind === 'layerNorm') {
      norms.set(operation.name, {
        multipliers: readI32(take('norm.multipliers')),
        shifts: readU8(take('norm.shifts')),
        bias: readI32(take('norm.bias')),
      });
    } else if (operation.kind === 'tokens') {
      tokens.set(operation.name, { values: readI16(take('tokens.values')) });
    } else if (operation.kind === 'attentionBias') {
      biases.set(operation.name, { values: readI32(take('attentionBias.values')) });
    }
  }
  return { linear, norms, tokens, biases };
}

/** Every tensor that the program needs has its dtype and shape, and there is no other. */
function checkTensors(
  { program, biasBits }: Pick<Manifest, 'program' | 'biasBits'>,
  tensors: Tensors,
  tables: ReadonlySet<string>,
  file: string,
): Cursor {
  const position = Object.fromEntries(Object.keys(VECTORS).map((name) => [name, 0])) as Record<VectorName, number>;
  const total = { ...position };
  const known = new Set(tables);
  for (const operation of program.operations) {
    const lengths = vectorLengths(operation, program, (name) => biasBits.get(name) ?? 0);
    for (const [name, length] of Object.entries(lengths)) total[name as VectorName] += length;
    if (operation.kind !== 'linear') continue;
    const { dtype, shape } = weightShape(operation);
    const name = weightTensor(operation.name);
    checkTensor(name, dtype, shape, tensors, file);
    known.add(name);
  }
  for (const [name, dtype] of Object.entries(VECTORS)) {
    const length = total[name as VectorName];
    if (length === 0) continue;
    checkTensor(name, dtype, [length], tensors, file);
    known.add(name);
  }
  for (const name of tensors.keys()) {
    if (known.has(name)) continue;
    throw new FormatError(`${file}: no operation takes the tensor "${name}". Export the model again.`);
  }
  const entries = Object.keys(VECTORS).map((name) => [name, tensors.get(name)]);
  return { vectors: Object.fromEntries(entries) as Cursor['vectors'], position };
}

function checkTensor(
  name: string,
  dtype: SafetensorsDtype,
  shape: readonly number[],
  tensors: Tensors,
  file: string,
): void {
  const entry = tensors.get(name);
  const wanted = `${dtype} [${shape.join(', ')}]`;
  if (!entry) throw new FormatError(`${file}: tensor "${name}" is missing, wanted ${wanted}. Export the model again.`);
  const found = `${entry.dtype} [${entry.shape.join(', ')}]`;
  if (found === wanted) return;
  const shown = found.length > 80 ? `${found.slice(0, 80)}...` : found;
  throw new FormatError(
    `${file}: tensor "${name}" is ${shown}, but its operations need ${wanted}. Export the model again.`,
  );
}

/** The elements of a vector that belong to the next operation, as a tensor of its own. */
function part({ vectors, position }: Cursor, name: VectorName, lengths: VectorLengths): TensorEntry {
  const entry = vectors[name];
  const length = lengths[name] ?? 0;
  const start = position[name];
  position[name] += length;
  const { bytes = new Uint8Array(0), dtype = VECTORS[name], file = '' } = entry ?? {};
  const size = entry && entry.shape[0] ? bytes.length / entry.shape[0] : 1;
  return { name, dtype, shape: [length], bytes: bytes.subarray(start * size, (start + length) * size), file };
}

function readWeight(operation: LinearOperation, tensors: Tensors, file: string): Int8Array {
  const { name, outFeatures, inFeatures, weightBits } = operation;
  const entry = tensors.get(weightTensor(name)) as TensorEntry;
  if (weightBits === 8) return readI8(entry);
  return unpacked(entry.bytes, weightBits, new Int8Array(outFeatures * inFeatures), weightTensor(name), file);
}

function unpacked<T extends Int8Array | Int32Array>(
  bytes: Uint8Array,
  bits: number,
  into: T,
  what: string,
  file: string,
): T {
  try {
    return unpackSigned(bytes, bits, into);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new FormatError(`${file}: ${what}: ${cause.message}. Export the model again.`, { cause });
  }
}
