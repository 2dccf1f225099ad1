import type { SafetensorsDtype } from '../io/safetensors.ts';
import { packedBytes } from './bits.ts';
import type {
  AttentionBiasOperation,
  IntegerOperation,
  IntegerProgram,
  LayerNormOperation,
  LinearOperation,
  TokensOperation,
} from './program.ts';
import { outputClass, type OutputClass } from './operationCheck.ts';

/**
 * Which tensors of a model file hold the parameters of a program, and where in them. A weight has a tensor of its own; the vectors
 * of all operations lie behind each other in the order of the operations, in one tensor for each kind of vector: hundreds of
 * small tensors would cost more bytes of header than some of them have.
 */

/** Vectors that several operations share a tensor for. */
export const VECTORS = {
  'linear.scales': 'F32',
  /** Signed integers of `biasBits`, each operation's from a byte on. */
  'linear.bias': 'U8',
  /** Of operations that write codes or int16. */
  'linear.multipliers': 'U16',
  'linear.shifts': 'U8',
  'norm.multipliers': 'I32',
  'norm.shifts': 'U8',
  'norm.bias': 'I32',
  'tokens.values': 'I16',
  'attentionBias.values': 'I32',
} as const satisfies Record<string, SafetensorsDtype>;

export type VectorName = keyof typeof VECTORS;

/** Elements of each vector that an operation takes, in bytes for the packed bias. */
export type VectorLengths = Partial<Record<VectorName, number>>;

export const weightTensor = (name: string) => `${name}.weight`;
export const tableTensor = (number: number) => `tables.${number}`;

/** The tables that operations name, each once; a reader makes one array of a tensor, so that equal ones are the same. */
export function tablesOf({ operations }: IntegerProgram): Uint32Array[] {
  const tables = operations.flatMap((operation) => {
    switch (operation.kind) {
      case 'softmax':
      case 'gelu':
        return 'table' in operation.constants ? [operation.constants.table] : [];
      case 'gatherRows':
        return [operation.indices];
      case 'attentionBias':
        return operation.regions ? [operation.index, operation.regions] : [operation.index];
      default:
        return [];
    }
  });
  return [...new Set(tables)];
}

/** dtype and shape of the weight of a linear operation: 8-bit codes as they are, narrower ones packed as one stream. */
export function weightShape({ outFeatures, inFeatures, weightBits }: LinearOperation): {
  readonly dtype: 'I8' | 'U8';
  readonly shape: readonly number[];
} {
  if (weightBits === 8) return { dtype: 'I8', shape: [outFeatures, inFeatures] };
  return { dtype: 'U8', shape: [packedBytes(outFeatures * inFeatures, weightBits)] };
}

/** What the outputs of a linear operation are; they are all of one class. */
export function linearClass({ outputs }: LinearOperation, { tensors }: IntegerProgram): OutputClass {
  const [first] = outputs;
  const tensor = first && tensors[first.tensor];
  return tensor ? outputClass(tensor) : 'int32';
}

export function linearLengths({ outFeatures }: LinearOperation, form: OutputClass, biasBits: number): VectorLengths {
  return {
    'linear.scales': outFeatures,
    'linear.bias': packedBytes(outFeatures, biasBits),
    ...(form === 'int32' ? {} : { 'linear.multipliers': outFeatures, 'linear.shifts': outFeatures }),
  };
}

export function normLengths({ input }: LayerNormOperation, { tensors }: IntegerProgram): VectorLengths {
  const features = tensors[input]?.columns ?? 0; // of all heads
  return { 'norm.multipliers': features, 'norm.shifts': features, 'norm.bias': features };
}

export function tokensLengths({ output }: TokensOperation, { tensors }: IntegerProgram): VectorLengths {
  const { rows = 0, columns = 0 } = tensors[output] ?? {};
  return { 'tokens.values': rows * columns };
}

export function biasLengths({ input, entries }: AttentionBiasOperation, { tensors }: IntegerProgram): VectorLengths {
  return { 'attentionBias.values': (tensors[input]?.heads ?? 0) * entries };
}

/** Elements of every vector that an operation of a valid program takes. */
export function vectorLengths(
  operation: IntegerOperation,
  program: IntegerProgram,
  biasBits: (name: string) => number,
): VectorLengths {
  switch (operation.kind) {
    case 'linear':
      return linearLengths(operation, linearClass(operation, program), biasBits(operation.name));
    case 'layerNorm':
      return normLengths(operation, program);
    case 'tokens':
      return tokensLengths(operation, program);
    case 'attentionBias':
      return biasLengths(operation, program);
    default:
      return {};
  }
}
