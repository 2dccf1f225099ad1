import { FormatError } from '../io/errors.ts';

/** Typed reading of one JSON object; every error names the file, the field and what was there. */
export class JsonFields {
  readonly file: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(values: unknown, file: string, path: string) {
    if (typeof values !== 'object' || values === null || Array.isArray(values)) {
      throw new FormatError(`${file}: ${path === '' ? 'the document' : path.slice(0, -1)} must be a JSON object`);
    }
    this.#values = values as Record<string, unknown>;
    this.file = file;
    this.#path = path;
  }

  /** Absent and null are the same, as timm writes defaults. */
  has(name: string): boolean {
    return Object.hasOwn(this.#values, name) && this.#values[name] !== null;
  }

  keys(): string[] {
    return Object.keys(this.#values);
  }

  value(name: string): unknown {
    return this.has(name) ? this.#values[name] : undefined;
  }

  wrong(name: string, wanted: string): FormatError {
    const seen = JSON.stringify(this.value(name)) as string | undefined;
    const shown = seen === undefined ? 'missing' : seen.length > 100 ? `${seen.slice(0, 100)}...` : seen;
    return new FormatError(`${this.file}: ${this.#path}${name} is ${shown}, wanted ${wanted}`);
  }

  object(name: string): JsonFields {
    return new JsonFields(this.value(name), this.file, `${this.#path}${name}.`);
  }

  text(name: string): string {
    const value = this.value(name);
    if (typeof value !== 'string') throw this.wrong(name, 'a text');
    return value;
  }

  flag(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== 'boolean') throw this.wrong(name, 'true or false');
    return value;
  }

  number(name: string): number {
    const value = this.value(name);
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.wrong(name, 'a number');
    return value;
  }

  /** A size; bounded so that no product of sizes leaves the exact integers. */
  count(name: string, fallback: number, most = 1_000_000): number {
    if (!this.has(name)) return fallback;
    let value = this.value(name);
    if (Array.isArray(value) && value.length === 2 && value[0] === value[1]) value = value[0]; // [16, 16] as timm allows
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
      throw this.wrong(name, `an integer in 1..${most}`);
    }
    return value;
  }

  /** A size that must be there. */
  size(name: string, most?: number): number {
    if (!this.has(name)) throw this.wrong(name, 'an integer');
    return this.count(name, 0, most);
  }

  /** A list of one to 16 sizes. */
  sizes(name: string, most = 1_000_000): number[] {
    const value = this.value(name);
    const isSize = (v: unknown) => typeof v === 'number' && Number.isInteger(v) && v >= 1 && v <= most;
    if (!Array.isArray(value) || value.length < 1 || value.length > 16 || !value.every(isSize)) {
      throw this.wrong(name, `1 to 16 integers in 1..${most}`);
    }
    return value as number[];
  }

  positive(name: string): number {
    const value = this.number(name);
    if (!(value > 0)) throw this.wrong(name, 'a positive number');
    return value;
  }

  /** One of `words`. */
  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const value = this.value(name);
    if (!(words as readonly unknown[]).includes(value)) throw this.wrong(name, words.map((w) => `"${w}"`).join(' or '));
    return value as Word;
  }

  numbers(name: string, length: number): number[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length !== length || !value.every((v) => Number.isFinite(v))) {
      throw this.wrong(name, `${length} numbers`);
    }
    return value as number[];
  }

  texts(name: string, length: number): string[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length !== length || !value.every((v) => typeof v === 'string')) {
      throw this.wrong(name, `${length} names`);
    }
    return value;
  }

  /** Refuses fields that would change the network in a way that this program does not know. */
  allow(known: readonly string[], ignored: ReadonlySet<string>): void {
    for (const name of Object.keys(this.#values)) {
      if (!known.includes(name) && !ignored.has(name) && this.has(name)) {
        throw this.wrong(name, `only ${known.join(', ')} here; this variant of the architecture is not supported`);
      }
    }
  }
}
