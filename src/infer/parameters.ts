import type {
  BiasParameters,
  IntegerModel,
  LinearParameters,
  NormParameters,
  TokensParameters,
} from '../format/model.ts';
import type { GeluOperation, IntegerOperation, IntegerTensor, SoftmaxOperation } from '../format/program.ts';
import type { NumericArray } from '../gpu/buffers.ts';
import { packDyadics } from '../kernels/dyadic.ts';
import { int16Words } from '../kernels/int16.ts';
import { withLevels } from '../kernels/levels.ts';
import { packDepthMajor } from '../kernels/pack.ts';
import { runsInFloat, type FloatKind } from './context.ts';

/**
 * What kernels read beside activations, by key, in the form in which they bind it:
 * - `NAME.weight`: uint8 `[ceil(inFeatures / 4)][outFeatures][4]`, depth-major codes
 * - `NAME.bias`: int32; of a linear or a product in units of its accumulator, one a column, of a LayerNorm as `layerNormConstants` has it
 * - `NAME.rescale`: u32 pairs (multiplier, shift), one an output feature or a head; of a softmax those of its codes behind them
 * - `NAME.gain`: int32 pairs (signed multiplier, shift)
 * - `NAME.tokens`: u32 `[rows][words]`, int16 two a word
 * - `NAME.table`: u32, the table of the method, then the levels
 * - `NAME.index`, `NAME.regions`: u32, of a gather of rows or an attention bias
 * - `NAME.values`: int32 `[heads][entries]` of an attention bias
 *
 * An operation that runs in float has none: what replaces it makes its own.
 */
export function* modelParameters(
  model: IntegerModel,
  float: ReadonlySet<FloatKind>,
): Generator<readonly [key: string, data: NumericArray]> {
  for (const operation of model.program.operations) {
    if (runsInFloat(operation, float, model.program.tensors)) continue;
    for (const [suffix, data] of operationParameters(model, operation)) yield [`${operation.name}.${suffix}`, data];
  }
}

function operationParameters(model: IntegerModel, operation: IntegerOperation): [string, NumericArray][] {
  const { name } = operation;
  switch (operation.kind) {
    case 'patches':
    case 'meanRows':
      return [];
    case 'gatherRows':
      return [['index', operation.indices]];
    case 'attentionBias': {
      const { index, regions } = operation;
      const found: [string, NumericArray][] = [
        ['index', index],
        ['values', required(model.biases, name).values],
      ];
      if (regions) found.push(['regions', regions]);
      return found;
    }
    case 'linear': {
      const { codes, bias, multipliers, shifts } = required(model.linear, name);
      const found: [string, NumericArray][] = [
        ['weight', packDepthMajor(codes, operation.outFeatures, operation.inFeatures)],
      ];
      if (bias) found.push(['bias', bias]);
      if (multipliers && shifts) found.push(['rescale', pairs(Uint32Array, multipliers, shifts)]);
      return found;
    }
    case 'product': {
      const { output, bias, rescales } = operation;
      const found: [string, NumericArray][] = [];
      if (bias) found.push(['bias', biasColumns(bias, model.program.tensors[output] as IntegerTensor)]);
      if (rescales) found.push(['rescale', packDyadics(rescales)]);
      return found;
    }
    case 'tokens': {
      const { columns } = model.program.tensors[operation.output] as IntegerTensor;
      return [['tokens', int16Rows(required(model.tokens, name).values, columns)]];
    }
    case 'layerNorm': {
      const { multipliers, shifts, bias } = required(model.norms, name);
      return [
        ['gain', pairs(Int32Array, multipliers, shifts)],
        ['bias', bias],
      ];
    }
    case 'softmax': {
      const { rescales, codeRescales } = operation;
      return [['rescale', packDyadics([...rescales, ...(codeRescales ?? [])])], ...tableOf(model, operation)];
    }
    case 'gelu':
      return tableOf(model, operation);
  }
}

function tableOf(
  { program }: IntegerModel,
  { output, constants }: SoftmaxOperation | GeluOperation,
): [string, NumericArray][] {
  const own = 'table' in constants ? constants.table : undefined;
  const levels = program.tensors[output]?.codes?.levels;
  const table = levels ? withLevels(own, levels) : own;
  return table ? [['table', table]] : [];
}

function pairs<T extends Int32Array | Uint32Array>(
  type: new (length: number) => T,
  multipliers: ArrayLike<number>,
  shifts: ArrayLike<number>,
): T {
  const packed = new type(2 * multipliers.length);
  for (let i = 0; i < multipliers.length; i++) {
    packed[2 * i] = multipliers[i] as number;
    packed[2 * i + 1] = shifts[i] as number;
  }
  return packed;
}

/** The bias of each head once for each of its columns, in heads of their own or side by side. */
export function biasColumns(bias: readonly number[], { heads, columns }: IntegerTensor): Int32Array {
  const each = (heads * columns) / bias.length;
  return Int32Array.from({ length: heads * columns }, (_, i) => bias[Math.floor(i / each)] as number);
}

/** Rows of `columns` 16-bit integers as words of two, the last of a row padded with 0. */
function int16Rows(values: Int16Array, columns: number): Uint32Array {
  const words = int16Words(columns);
  const rows = values.length / columns;
  const packed = new Uint32Array(rows * words);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const half = (values[row * columns + column] as number) & 0xffff;
      const at = row * words + (column >> 1);
      packed[at] = ((packed[at] as number) | (half << (16 * (column & 1)))) >>> 0;
    }
  }
  return packed;
}

function required<T extends BiasParameters | LinearParameters | NormParameters | TokensParameters>(
  map: ReadonlyMap<string, T>,
  name: string,
): T {
  const found = map.get(name);
  if (!found) throw new Error(`the model has no parameters ${name}`);
  return found;
}
