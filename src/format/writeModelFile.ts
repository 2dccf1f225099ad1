import { writeSafetensors, type TensorToWrite } from '../io/safetensors.ts';
import { packSigned, signedWidth } from './bits.ts';
import { manifestText, MODEL_FORMAT } from './manifest.ts';
import type { IntegerModel } from './model.ts';
import {
  tablesOf,
  tableTensor,
  vectorLengths,
  VECTORS,
  weightShape,
  weightTensor,
  type VectorName,
} from './parameterTensors.ts';
import type { IntegerOperation } from './program.ts';
import { readModelFile } from './readModelFile.ts';
import { leastVersion } from './versions.ts';

/**
 * A model as one file (docs/format.md), the same bytes for the same model. What is written has been read again, so that every
 * check of `readModelFile` holds for it.
 *
 * @throws FormatError on a model that no file can hold, naming the operation and the number seen
 * @throws RangeError on parameters of another length than their operation's or codes outside its width
 */
export function writeModelFile(model: IntegerModel): Uint8Array<ArrayBuffer> {
  const { program } = model;
  const { tables, tableNumber } = distinctTables(model);
  const tensors: TensorToWrite[] = tables.map((data, number) => {
    return { name: tableTensor(number), dtype: 'U32', shape: [data.length], data };
  });
  const parts = Object.fromEntries(Object.keys(VECTORS).map((name) => [name, []])) as unknown as Parts;
  const biasBits = (name: string) => {
    const bias = model.linear.get(name)?.bias;
    return bias ? signedWidth(bias) : 0;
  };
  let [linear, norms, tokens, biases] = [0, 0, 0, 0];
  for (const operation of program.operations) {
    const vectors = vectorsOf(operation, model, biasBits);
    const lengths = vectorLengths(operation, program, biasBits);
    for (const [name, vector] of Object.entries(vectors) as [VectorName, Vector][]) {
      checkLength(`${name} of "${operation.name}"`, vector.length, lengths[name] ?? 0);
      parts[name].push(vector);
    }
    if (operation.kind === 'linear') {
      const { codes } = required(model.linear.get(operation.name), operation);
      checkLength(`weight of "${operation.name}"`, codes.length, operation.outFeatures * operation.inFeatures);
      const data = operation.weightBits === 8 ? codes : packSigned(codes, operation.weightBits);
      tensors.push({ name: weightTensor(operation.name), ...weightShape(operation), data });
      linear++;
    }
    norms += operation.kind === 'layerNorm' ? 1 : 0;
    tokens += operation.kind === 'tokens' ? 1 : 0;
    biases += operation.kind === 'attentionBias' ? 1 : 0;
  }
  checkLength('the map of linear parameters', model.linear.size, linear);
  checkLength('the map of norms', model.norms.size, norms);
  checkLength('the map of tokens', model.tokens.size, tokens);
  checkLength('the map of attention biases', model.biases.size, biases);
  for (const [name, dtype] of Object.entries(VECTORS) as [VectorName, (typeof VECTORS)[VectorName]][]) {
    const data = joined(name, parts[name], dtype);
    if (data.length > 0) tensors.push({ name, dtype, shape: [data.length], data });
  }
  const manifest = manifestText(model, { biasBits, tableNumber });
  const bytes = writeSafetensors(tensors, { format: MODEL_FORMAT, version: leastVersion(model), manifest });
  readModelFile(bytes, 'the model to write');
  return bytes;
}

type Vector = Float32Array | Uint8Array | Uint32Array | Int32Array | Int16Array;
type Parts = Record<VectorName, Vector[]>;

/** The vectors of an operation, those that it has. */
function vectorsOf(
  operation: IntegerOperation,
  { linear, norms, tokens, biases }: IntegerModel,
  biasBits: (name: string) => number,
): Partial<Record<VectorName, Vector>> {
  const { name } = operation;
  if (operation.kind === 'linear') {
    const { scales, bias, multipliers, shifts } = required(linear.get(name), operation);
    return {
      'linear.scales': scales,
      ...(bias ? { 'linear.bias': packSigned(bias, biasBits(name)) } : {}),
      ...(multipliers ? { 'linear.multipliers': multipliers } : {}),
      ...(shifts ? { 'linear.shifts': shifts } : {}),
    };
  }
  if (operation.kind === 'layerNorm') {
    const { multipliers, shifts, bias } = required(norms.get(name), operation);
    return { 'norm.multipliers': multipliers, 'norm.shifts': shifts, 'norm.bias': bias };
  }
  if (operation.kind === 'attentionBias') {
    return { 'attentionBias.values': required(biases.get(name), operation).values };
  }
  return operation.kind === 'tokens' ? { 'tokens.values': required(tokens.get(name), operation).values } : {};
}

function required<T>(parameters: T | undefined, { kind, name }: IntegerOperation): T {
  if (parameters === undefined) throw new RangeError(`${kind} "${name}" has no parameters`);
  return parameters;
}

function checkLength(what: string, length: number, wanted: number): void {
  if (length !== wanted) throw new RangeError(`${what} has ${length} elements, wanted ${wanted}`);
}

const ARRAYS = {
  F32: Float32Array,
  U8: Uint8Array,
  U16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  I16: Int16Array,
};

/** The vectors behind each other as elements of `dtype`. */
function joined(
  name: VectorName,
  vectors: readonly Vector[],
  dtype: keyof typeof ARRAYS,
): InstanceType<(typeof ARRAYS)[typeof dtype]> {
  const whole = new ARRAYS[dtype](vectors.reduce((sum, { length }) => sum + length, 0));
  let position = 0;
  for (const vector of vectors) {
    whole.set(vector, position);
    const bad = vector.findIndex((value, i) => value !== whole[position + i]);
    if (bad >= 0) throw new RangeError(`${name} cannot hold ${vector[bad]} in ${dtype}`);
    position += vector.length;
  }
  return whole;
}

/** The tables of a model without repetitions, in the order of their first use. */
function distinctTables({ program }: IntegerModel) {
  const tables: Uint32Array[] = [];
  const numbers = new Map<Uint32Array, number>();
  for (const table of tablesOf(program)) {
    const same = tables.findIndex((known) => known.length === table.length && known.every((v, i) => v === table[i]));
    numbers.set(table, same < 0 ? tables.push(table) - 1 : same);
  }
  return { tables, tableNumber: (table: Uint32Array) => numbers.get(table) ?? -1 };
}
