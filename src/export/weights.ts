import { FormatError } from '../io/errors.ts';
import { assertFinite, readF32, readI8 } from '../io/readTensor.ts';
import { parseSafetensors, type TensorEntry } from '../io/safetensors.ts';

/** The `weights.safetensors` beside a recipe. */
export class QuantizedWeights {
  readonly #tensors: ReadonlyMap<string, TensorEntry>;
  readonly #file: string;

  /** @throws FormatError when `bytes` are no safetensors file */
  constructor(bytes: Uint8Array, file: string) {
    this.#tensors = parseSafetensors(bytes, file).tensors;
    this.#file = file;
  }

  /** Codes of the weight of `layer`, `[count]`. */
  codes(layer: string, count: number): Int8Array {
    const codes = readI8(this.#find(`${layer}.codes`));
    this.#expect(`${layer}.codes`, codes.length, count);
    return codes;
  }

  /** The float bias of `layer`, `[count]`; null where it has none. */
  bias(layer: string, count: number): Float32Array | null {
    return this.#tensors.has(`${layer}.bias`) ? this.float(`${layer}.bias`, count) : null;
  }

  /** A parameter that is not quantized, `[count]`. */
  float(name: string, count: number): Float32Array {
    const values = readF32(this.#find(name));
    this.#expect(name, values.length, count);
    assertFinite(name, values, this.#file);
    return values;
  }

  #find(name: string): TensorEntry {
    const found = this.#tensors.get(name);
    if (!found) throw new FormatError(`${this.#file} has no tensor ${name}; quantize this model again`);
    return found;
  }

  #expect(name: string, seen: number, wanted: number): void {
    if (seen === wanted) return;
    throw new FormatError(`${this.#file}: ${name} has ${seen} values, expected ${wanted}; quantize this model again`);
  }
}
