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

  /** Gives back the buffers of a unit's parameters, or of every parameter named `prefix` or `prefix.` and more. */
  release(unitOrPrefix: Unit | string): void {
    const matches = matcher(unitOrPrefix);
    for (const [key, buffer] of this.#buffers) {
      if (!key.split(' ').some(matches)) continue;
      this.#pool.release(buffer);
      this.#buffers.delete(key);
    }
  }

  /** Gives back everything; a later `get` uploads again. */
  destroy(): void {
    for (const buffer of this.#buffers.values()) this.#pool.release(buffer);
    this.#buffers.clear();
  }

  [Symbol.dispose](): void {
    this.destroy();
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
