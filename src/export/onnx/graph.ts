import type { Wire } from './protobuf.ts';
import { nodeMessage, tensorMessage, type Attributes, type TensorData } from './schema.ts';

/** A tensor of the graph: `[images times windows][...dims]`, the first dimension left open. */
export interface Tensor {
  readonly value: string;
  readonly dims: readonly number[];
}

/** Operators and constants in the order in which they are made; what is there already is not made twice. */
export class OnnxGraph {
  readonly nodes: Wire[] = [];
  readonly constants: Wire[] = [];
  readonly #known = new Map<string, string>();
  readonly #names = new Set<string>();
  /** Prefix of the names to come: the operation that is written. */
  scope = '';

  /** One operator with one output; the name of its output, or of an equal one's. */
  node(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.#once(`${operator} ${JSON.stringify([inputs, attributes])}`, () => {
      const output = this.#free(`${this.scope}/${operator}`);
      this.nodes.push(nodeMessage(output, operator, inputs, output, attributes));
      return output;
    });
  }

  /** The last operator, under a name of its own. */
  output(name: string, value: string): void {
    this.nodes.push(nodeMessage(name, 'Identity', [value], name, {}));
  }

  /** A constant, the one of this name or, without one, of this content. */
  constant(data: TensorData, shape: readonly number[], name?: string): string {
    const add = (as: string) => {
      const free = this.#free(as);
      this.constants.push(tensorMessage(free, shape, data));
      return free;
    };
    if (name !== undefined) return this.#once(`constant ${name}`, () => add(name));
    return this.#once(`${data.type} ${shape.join()} ${data.values.join()}`, () => add(`constants/${data.type}`));
  }

  floats(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant({ type: 'float', values: Float32Array.from(values) }, shape);
  }

  float(value: number): string {
    return this.floats([value], []);
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant({ type: 'int64', values: BigInt64Array.from(values, BigInt) }, shape);
  }

  /** The same elements as `[...][...dims]`. */
  reshape(tensor: Tensor, dims: readonly number[]): Tensor {
    if (tensor.dims.join() === dims.join()) return tensor;
    return { value: this.node('Reshape', [tensor.value, this.integers([-1, ...dims])]), dims };
  }

  /** Axes of `dims` in the order `order`; the open one stays first. */
  transpose(tensor: Tensor, order: readonly number[]): Tensor {
    if (order.every((axis, i) => axis === i)) return tensor;
    return {
      value: this.node('Transpose', [tensor.value], { perm: [0, ...order.map((axis) => axis + 1)] }),
      dims: order.map((axis) => tensor.dims[axis] as number),
    };
  }

  /** `count` entries from `first` on along an axis of `dims`. */
  slice(tensor: Tensor, axis: number, first: number, count: number): Tensor {
    if (tensor.dims[axis] === count) return tensor;
    const range = [[first], [first + count], [axis + 1]].map((values) => this.integers(values));
    return {
      value: this.node('Slice', [tensor.value, ...range]),
      dims: tensor.dims.map((size, i) => (i === axis ? count : size)),
    };
  }

  #once(key: string, make: () => string): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#known.set(key, made);
    return made;
  }

  #free(name: string): string {
    let free = name;
    for (let i = 1; this.#names.has(free); i++) free = `${name}_${i}`;
    this.#names.add(free);
    return free;
  }
}
