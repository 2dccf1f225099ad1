import { FormatError } from './errors.ts';

/** A value of a parsed JSON file together with the place it was found at, so that every complaint names both. */
export class JsonReader {
  readonly value: unknown;
  readonly #file: string;
  readonly #path: string;

  constructor(value: unknown, file: string, path = '') {
    this.value = value;
    this.#file = file;
    this.#path = path;
  }

  /** The member `key` of an object; its value is undefined when absent. */
  field(key: string): JsonReader {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.refuse('an object');
    const member = Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    return new JsonReader(member, this.#file, this.#path === '' ? key : `${this.#path}.${key}`);
  }

  items(): JsonReader[] {
    if (!Array.isArray(this.value)) this.refuse('an array');
    return this.value.map((item: unknown, i) => new JsonReader(item, this.#file, `${this.#path}[${i}]`));
  }

  /** The members of an object in their order. */
  entries(): [string, JsonReader][] {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.refuse('an object');
    return Object.keys(value).map((key) => [key, this.field(key)]);
  }

  /** Refuses members that are not among these. */
  only(known: readonly string[]): void {
    for (const [name, member] of this.entries()) {
      if (!known.includes(name)) member.refuse(`none of that name here, only ${known.join(', ')}`);
    }
  }

  text(): string {
    if (typeof this.value !== 'string' || this.value === '') this.refuse('a text');
    return this.value;
  }

  hash(): string {
    const text = this.text();
    return /^[0-9a-f]{64}$/.test(text) ? text : this.refuse('a SHA-256 of 64 hexadecimal digits');
  }

  boolean(): boolean {
    return typeof this.value === 'boolean' ? this.value : this.refuse('true or false');
  }

  integer(low: number, high: number): number {
    const value = this.number(low, high);
    return Number.isInteger(value) ? value : this.refuse(`an integer in ${low}..${high}`);
  }

  number(low: number, high: number): number {
    const { value } = this;
    return typeof value === 'number' && value >= low && value <= high
      ? value
      : this.refuse(`a number in ${low}..${high}`);
  }

  /** A positive number that f32 holds exactly: a quantizer's scale. */
  scale(): number {
    const { value } = this;
    const isScale = typeof value === 'number' && Math.fround(value) === value && value > 0 && value < Infinity;
    return isScale ? value : this.refuse('a positive f32');
  }

  /** Greater than 0 and finite. */
  positive(): number {
    const { value } = this;
    return typeof value === 'number' && value > 0 && value < Infinity ? value : this.refuse('a positive number');
  }

  word<W extends string>(words: readonly W[]): W {
    const word = words.find((known) => known === this.value);
    return word ?? this.refuse(words.length === 1 ? `"${words[0]}"` : `one of ${words.join(', ')}`);
  }

  refuse(wanted: string): never {
    const found = shownJson(this.value, 60);
    const place = this.#path === '' ? 'the document' : this.#path;
    throw new FormatError(`${this.#file}: ${place} is ${found}, wanted ${wanted}`);
  }
}

/** A parsed value for a message: its JSON, cut after `most` characters; one nested too deeply to print is named as such. */
export function shownJson(value: unknown, most: number): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    return 'a value nested too deeply';
  }
  return text === undefined ? 'missing' : text.length > most ? `${text.slice(0, most)}...` : text;
}
