import type { IntegerModel, LinearParameters, NormParameters, TokensParameters } from '../../src/format/model.ts';
import type { IntegerOperation, IntegerTensor, LinearOperation } from '../../src/format/program.ts';
import { erfReference } from '../../src/reference/geluF32.ts';

/** Real values of every tensor `[heads][rows][columns]` by name. */
export type RealTensors = Map<string, Float64Array>;

/**
 * The network that an integer model stands for, in double precision: its parameters times their scales, exact softmax, GELU and
 * LayerNorm, nothing rounded between. Written from the docstrings of `src/format` alone; slow and obvious.
 */
export function dequantizedProgram(model: IntegerModel, pixels: Uint8Array): RealTensors {
  const real: RealTensors = new Map([[model.program.input, Float64Array.from(pixels)]]);
  for (const operation of model.program.operations) compute(model, operation, real);
  return real;
}

function compute(model: IntegerModel, operation: IntegerOperation, real: RealTensors): void {
  const tensor = (name: string) => model.program.tensors[name] as IntegerTensor;
  const values = (name: string) => real.get(name) as Float64Array;
  switch (operation.kind) {
    case 'patches': {
      const { columns: width } = tensor(operation.input);
      const { rows, columns } = tensor(operation.output);
      const size = operation.patchSize;
      const across = width / size;
      const y = fill(rows * columns, (i) => {
        const [patch, place] = [Math.floor(i / columns), i % columns];
        const [channel, down, right] = [Math.floor(place / size ** 2), Math.floor(place / size) % size, place % size];
        const at = (Math.floor(patch / across) * size + down) * width + (patch % across) * size + right;
        return ((values(operation.input)[3 * at + channel] as number) - 128) * scale(tensor(operation.output));
      });
      real.set(operation.output, y);
      return;
    }
    case 'linear': {
      const { codes, scales, bias } = model.linear.get(operation.name) as LinearParameters;
      const depth = operation.inFeatures;
      const x = values(operation.input);
      for (const { tensor: name, first } of operation.outputs) {
        const { heads, rows, columns } = tensor(name);
        const residual = operation.residual && values(operation.residual.tensor);
        const share = residualShare(model, operation);
        const y = fill(heads * rows * columns, (i) => {
          const row = Math.floor(i / columns) % rows;
          const feature = first + Math.floor(i / (rows * columns)) * columns + (i % columns);
          const step = scales[feature] as number;
          let sum = (bias?.[feature] ?? 0) * scale(tensor(operation.input)) * step;
          for (let k = 0; k < depth; k++) {
            sum += (x[row * depth + k] as number) * (codes[feature * depth + k] as number) * step;
          }
          return sum + share * (residual?.[i] ?? 0);
        });
        real.set(name, y);
      }
      return;
    }
    case 'product': {
      const [a, b, left] = [values(operation.a), values(operation.b), tensor(operation.a)];
      const { layout, columns: bColumns, rows: bRows } = tensor(operation.b);
      const { heads, rows, columns: depth } = left;
      const columns = layout === 'right' ? bColumns : bRows;
      const merged = tensor(operation.output).heads < heads;
      const y = new Float64Array(heads * rows * columns);
      for (let head = 0; head < heads; head++) {
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            let sum = 0;
            for (let k = 0; k < depth; k++) {
              const at = head * bRows * bColumns + (layout === 'right' ? k * columns + column : column * depth + k);
              sum += (a[(head * rows + row) * depth + k] as number) * (b[at] as number);
            }
            y[merged ? (row * heads + head) * columns + column : (head * rows + row) * columns + column] = sum;
          }
        }
      }
      real.set(operation.output, y);
      return;
    }
    case 'tokens': {
      const { rows, columns } = tensor(operation.output);
      const { values: tokens } = model.tokens.get(operation.name) as TokensParameters;
      const x = values(operation.input);
      const prefix = operation.prefixRows * columns;
      const y = fill(rows * columns, (i) => {
        return (tokens[i] as number) * scale(tensor(operation.output)) + (i < prefix ? 0 : (x[i - prefix] as number));
      });
      real.set(operation.output, y);
      return;
    }
    case 'layerNorm': {
      const { multipliers, shifts, bias } = model.norms.get(operation.name) as NormParameters;
      const { columns } = tensor(operation.input);
      const fixed = operation.form === 'fixed';
      const biasUnit = fixed ? 2 ** -12 : Math.sqrt(columns) / 2 ** 30;
      const yScale = scale(tensor(operation.output));
      const gamma = fill(columns, (i) => ((multipliers[i] as number) / 2 ** (shifts[i] as number) / biasUnit) * yScale);
      const beta = fill(columns, (i) => (bias[i] as number) * biasUnit * (fixed ? yScale : (gamma[i] as number)));
      const all = values(operation.input);
      const x = operation.row === null ? all : all.slice(operation.row * columns, (operation.row + 1) * columns);
      const normalised = byRow(x, columns, (row) => {
        const mean = sumOf(row) / columns;
        const variance = sumOf(row.map((value) => (value - mean) ** 2)) / columns;
        return row.map((value) => (value - mean) / Math.sqrt(variance + operation.floatEpsilon));
      });
      const y = normalised.map((value, i) => value * (gamma[i % columns] as number) + (beta[i % columns] as number));
      real.set(operation.output, y);
      return;
    }
    case 'softmax': {
      const y = byRow(values(operation.input), tensor(operation.input).columns, (row) => {
        const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
        const parts = row.map((value) => Math.exp((value - largest) * operation.factor));
        const sum = sumOf(parts);
        return parts.map((part) => part / sum);
      });
      real.set(operation.output, y);
      return;
    }
    case 'gelu':
      real.set(
        operation.output,
        values(operation.input).map((x) => (x * (1 + erfReference(x / Math.SQRT2))) / 2),
      );
  }
}

/** Of the residual's real value that is added: 1, or 1/2 where two heads are averaged; what its rescale says, to 2^-8. */
function residualShare({ program }: IntegerModel, { residual, outputs }: LinearOperation): number {
  if (!residual) return 0;
  const [from, to] = [residual.tensor, outputs[0]?.tensor as string].map((name) =>
    scale(program.tensors[name] as IntegerTensor),
  );
  const share = ((residual.multiplier / 2 ** residual.shift) * (to as number)) / (from as number);
  return Math.round(share * 2 ** 8) / 2 ** 8;
}

/** The one scale of a tensor that has one. */
function scale({ scales }: IntegerTensor): number {
  return scales[0] as number;
}

function fill(count: number, value: (i: number) => number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => value(i));
}

function byRow(x: Float64Array, columns: number, change: (row: Float64Array) => Float64Array): Float64Array {
  const y = new Float64Array(x.length);
  for (let first = 0; first < x.length; first += columns) y.set(change(x.slice(first, first + columns)), first);
  return y;
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
