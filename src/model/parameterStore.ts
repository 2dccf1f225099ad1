import type { BufferPool } from '../gpu/buffers.ts';
import { concatenate } from './concatenate.ts';
import type { Operation, Unit } from './graph.ts';
import type { Model } from './load.ts';

/**
 * Parameters of a model on the device, each uploaded when it is first asked for. One layout serves both passes: the
 * products of the forward pass read a weight `[outFeatures, inFeatures]` by columns, those of the backward pass by rows.
 */
export class ParameterStore implements Disposable {
  readonly #pool: BufferPool;
  readonly #parameters: Model['parameters'];
  readonly #buffers = new Map<string, GPUBuffer>();
  readonly #constants = new Map<object, GPUBuffer>();

  constructor(pool: BufferPool, model: Pick<Model, 'parameters'>) {
    this.#pool = pool;
    this.#parameters = model.parameters;
  }

  /** f32 values of one parameter in the row-major order of its shape. Owned by the store. */
  get(name: string): GPUBuffer {
    return this.joined([name]);
  }

  /** Values of several parameters, one after the other, in one buffer. Owned by the store. */
  joined(names: readonly string[]): GPUBuffer {
    const key = names.join(' ');
    let buffer = this.#buffers.get(key);
    if (!buffer) {
      const parts = names.map((name) => this.#values(name));
      const values = parts.length === 1 ? (parts[0] as Float32Array) : concatenate(parts);
      this.#buffers.set(key, (buffer = this.#pool.upload(values, key)));
    }
    return buffer;
  }

  /** Numbers of the graph, uploaded when `key` (the operation or the list that they come from) is first seen. Owned by the store. */
  constant(key: object, values: () => Int32Array | Float32Array): GPUBuffer {
    let buffer = this.#constants.get(key);
    if (!buffer) this.#constants.set(key, (buffer = this.#pool.upload(values(), 'constant of the network')));
    return buffer;
  }

  /** A list of row numbers, i32. Owned by the store. */
  indices(list: readonly number[] | Int32Array): GPUBuffer {
    return this.constant(list, () => Int32Array.from(list));
  }

  /** Gives back the buffers of a unit's parameters and constants, or of every parameter named `prefix` or `prefix.` and more. */
  release(unitOrPrefix: Unit | string): void {
    const matches = matcher(unitOrPrefix);
    for (const [key, buffer] of this.#buffers) {
      if (!key.split(' ').some(matches)) continue;
      this.#pool.release(buffer);
      this.#buffers.delete(key);
    }
    if (typeof unitOrPrefix !== 'string')
      unitOrPrefix.operations.flatMap(constantsOf).forEach((key) => this.#drop(key));
  }

  /** Gives back everything; a later `get` uploads again. */
  destroy(): void {
    for (const buffer of this.#buffers.values()) this.#pool.release(buffer);
    this.#buffers.clear();
    for (const key of this.#constants.keys()) this.#drop(key);
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  #drop(constant: object): void {
    const buffer = this.#constants.get(constant);
    if (buffer) this.#pool.release(buffer);
    this.#constants.delete(constant);
  }

  #values(name: string): Float32Array {
    const parameter = this.#parameters.get(name);
    if (!parameter) throw new Error(`the model has no parameter ${name}`);
    return parameter.values;
  }
}

/** Names of the parameters that an operation reads. */
export function parametersOf(operation: Operation): string[] {
  switch (operation.kind) {
    case 'linear':
      return operation.bias === null ? [operation.weight] : [operation.weight, operation.bias];
    case 'layerNorm':
      return [`${operation.name}.weight`, `${operation.name}.bias`];
    case 'tokens':
      return [...operation.prefix, operation.position];
    case 'attentionBias':
      return [operation.table];
    default:
      return [];
  }
}

/** Keys of the constants that an operation reads in either pass. */
function constantsOf(operation: Operation): object[] {
  switch (operation.kind) {
    case 'gatherRows':
      return [operation, operation.indices];
    case 'attentionBias':
      return operation.mask ? [operation.index, operation.mask] : [operation.index];
    case 'meanRows':
      return [operation];
    default:
      return [];
  }
}

function matcher(unitOrPrefix: Unit | string): (name: string) => boolean {
  if (typeof unitOrPrefix === 'string') {
    return (name) => name === unitOrPrefix || name.startsWith(`${unitOrPrefix}.`);
  }
  const names = new Set(unitOrPrefix.operations.flatMap(parametersOf));
  return (name) => names.has(name);
}
