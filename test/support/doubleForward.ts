import type { MatrixView, Network, Operation, SearchedOperation, Unit } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { erfReference } from '../../src/reference/geluF32.ts';

/** A disturbance added to one tensor of one unit as soon as it is computed. */
export interface Disturbance {
  readonly unit: string;
  readonly tensor: string;
  readonly delta: Float64Array;
}

/** What a searched product reads in place of the tensor of one of its operands. */
export type OperandChange = (operation: SearchedOperation, side: 'a' | 'b', values: Float64Array) => Float64Array;

/** Logits of one image in plain double precision, straight from the operation lists; slow and obvious. */
export function doubleForward(
  model: Model,
  patches: Float32Array | Float64Array,
  disturbance?: Disturbance,
  onTensor: (unit: Unit, tensor: string, values: Float64Array) => void = () => {},
  change: OperandChange = (_operation, _side, values) => values,
): Float64Array {
  let input: Float64Array = Float64Array.from(patches);
  for (const unit of model.network.units) {
    onTensor(unit, unit.input, input);
    input = runUnit(model, unit, input, disturbance, (tensor, values) => onTensor(unit, tensor, values), change);
  }
  return input;
}

function runUnit(
  model: Model,
  unit: Unit,
  input: Float64Array,
  disturbance: Disturbance | undefined,
  onTensor: (tensor: string, values: Float64Array) => void,
  change: OperandChange,
): Float64Array {
  const tensors = new Map([[unit.input, input]]);
  const get = (name: string) => tensors.get(name) as Float64Array;
  for (const operation of unit.operations) {
    const name = operation.kind === 'matmul' ? operation.output.tensor : operation.output;
    const output = new Float64Array(unit.elements[name] as number);
    compute(model, operation, get, output, change);
    if (disturbance?.unit === unit.name && disturbance.tensor === name) {
      disturbance.delta.forEach((d, i) => (output[i] = (output[i] as number) + d));
    }
    tensors.set(name, output);
    onTensor(name, output);
  }
  return get(unit.output);
}

function compute(
  model: Model,
  operation: Operation,
  get: (name: string) => Float64Array,
  out: Float64Array,
  change: OperandChange,
): void {
  const parameter = (name: string) => model.parameters.get(name)!.values;
  switch (operation.kind) {
    case 'linear': {
      const [x, w] = [change(operation, 'a', get(operation.input)), parameter(operation.weight)];
      const bias = operation.bias === null ? undefined : parameter(operation.bias);
      for (let r = 0; r < operation.rows; r++) {
        for (let n = 0; n < operation.outFeatures; n++) {
          let sum = bias?.[n] ?? 0;
          for (let k = 0; k < operation.inFeatures; k++) {
            sum += x[r * operation.inFeatures + k]! * w[n * operation.inFeatures + k]!;
          }
          out[r * operation.outFeatures + n] = sum;
        }
      }
      return;
    }
    case 'matmul': {
      const at = (v: MatrixView, h: number, r: number, c: number) =>
        v.offset + h * v.headStride + r * v.rowStride + c * v.columnStride;
      const a = change(operation, 'a', get(operation.a.tensor));
      const b = change(operation, 'b', get(operation.b.tensor));
      const { windows } = operation;
      for (let w = 0; w < windows; w++) {
        const [ofA, ofB, ofOut] = [a, b, out].map((t) => t.subarray((w * t.length) / windows));
        for (let h = 0; h < operation.heads; h++) {
          for (let r = 0; r < operation.rows; r++) {
            for (let c = 0; c < operation.columns; c++) {
              let sum = 0;
              for (let k = 0; k < operation.depth; k++)
                sum += ofA![at(operation.a, h, r, k)]! * ofB![at(operation.b, h, k, c)]!;
              ofOut![at(operation.output, h, r, c)] = sum;
            }
          }
        }
      }
      return;
    }
    case 'layerNorm': {
      const [gain, shift] = [parameter(`${operation.name}.weight`), parameter(`${operation.name}.bias`)];
      eachRow(get(operation.input), operation.features, (row, first) => {
        const mean = row.reduce((s, v) => s + v, 0) / row.length;
        const variance = row.reduce((s, v) => s + (v - mean) ** 2, 0) / row.length;
        const scale = 1 / Math.sqrt(variance + operation.epsilon);
        row.forEach((v, i) => (out[first + i] = (v - mean) * scale * gain[i]! + shift[i]!));
      });
      return;
    }
    case 'softmax':
      eachRow(get(operation.input), operation.columns, (row, first) => {
        const largest = Math.max(...row);
        const exps = row.map((v) => Math.exp(operation.scale * (v - largest)));
        const sum = exps.reduce((s, v) => s + v, 0);
        exps.forEach((e, i) => (out[first + i] = e / sum));
      });
      return;
    case 'gelu':
      get(operation.input).forEach((v, i) => (out[i] = (v * (1 + erfReference(v * Math.SQRT1_2))) / 2));
      return;
    case 'add': {
      const b = get(operation.b);
      get(operation.a).forEach((v, i) => (out[i] = (v + b[i]!) * operation.scale));
      return;
    }
    case 'tokens': {
      const tokens = [...operation.prefix.flatMap((name) => [...parameter(name)]), ...get(operation.input)];
      const position = parameter(operation.position);
      tokens.forEach((v, i) => (out[i] = v + position[i]!));
      return;
    }
    case 'gatherRows': {
      const [x, { features }] = [get(operation.input), operation];
      operation.indices.forEach((row, i) => {
        if (row >= 0) out.set(x.subarray(row * features, (row + 1) * features), i * features);
      });
      return;
    }
    case 'attentionBias': {
      const [x, table, { heads, tokens, mask }] = [get(operation.input), parameter(operation.table), operation];
      out.forEach((_, at) => {
        const [j, i] = [at % tokens, Math.floor(at / tokens) % tokens];
        const head = Math.floor(at / tokens ** 2) % heads;
        const first = Math.floor(at / (tokens ** 2 * heads)) * tokens;
        const apart = mask !== null && mask[first + i] !== mask[first + j];
        const bias = table[operation.index[i * tokens + j]! * heads + head]!;
        out[at] = operation.scale * x[at]! + bias + (apart ? -100 : 0);
      });
      return;
    }
    case 'meanRows': {
      const [x, { first, rows, features }] = [get(operation.input), operation];
      for (let row = first; row < rows; row++) {
        for (let f = 0; f < features; f++) out[f] = out[f]! + x[row * features + f]! / (rows - first);
      }
      return;
    }
  }
}

function eachRow(x: Float64Array, columns: number, visit: (row: Float64Array, first: number) => void): void {
  for (let first = 0; first < x.length; first += columns) visit(x.subarray(first, first + columns), first);
}

/** Unit and tensor that each searched layer of a network writes. */
export function searchedOutputs(network: Network): { layer: string; unit: Unit; tensor: string }[] {
  return network.units.flatMap((unit) =>
    unit.operations.flatMap((operation) => {
      if (operation.kind === 'linear') return [{ layer: operation.name, unit, tensor: operation.output }];
      if (operation.kind === 'matmul') return [{ layer: operation.name, unit, tensor: operation.output.tensor }];
      return [];
    }),
  );
}
