import { UsageError } from './errors.ts';
import { nearest } from './nearest.ts';

/** One `--flag` of a command: how its text becomes a value, and what help says about it. */
export interface Flag<T> {
  /** What stands for the value in help, such as `<dir>`; null for a switch. */
  readonly placeholder: string | null;
  readonly help: string;
  readonly required: boolean;
  /** Value when the flag is absent. */
  readonly absent: T;
  /** The default in help, where `absent` is no word or number itself. */
  readonly shown?: string;
  /** Turns the text into the value; the error's text follows the flag's name, such as `must be ...`. */
  readonly read: (text: string) => T;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type FlagValues<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** A switch: false unless given. */
export function onOff(help: string): Flag<boolean> {
  return { placeholder: null, help, required: false, absent: false, read: () => true };
}

/** A path that may be left out. */
export function optionalPath(placeholder: string, help: string): Flag<string | undefined> {
  return { placeholder, help, required: false, absent: undefined, read: nonEmpty };
}

/** A path that must be given. */
export function requiredPath(placeholder: string, help: string): Flag<string> {
  return { placeholder, help, required: true, absent: '', read: nonEmpty };
}

/** A decimal integer within bounds, both included. */
export function integer(help: string, absent: number, low: number, high: number): Flag<number> {
  const read = (text: string): number => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (!(value >= low && value <= high))
      throw new UsageError(`must be an integer in ${low}..${high}, got ${show(text)}`);
    return value;
  };
  return { placeholder: '<n>', help, required: false, absent, read };
}

/** A decimal number within bounds, both included, or none. */
export function optionalNumber(help: string, low: number, high: number): Flag<number | undefined> {
  const read = (text: string): number => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN;
    if (!(value >= low && value <= high))
      throw new UsageError(`must be a number in ${low}..${high}, got ${show(text)}`);
    return value;
  };
  return { placeholder: '<x>', help, required: false, absent: undefined, read };
}

/** Decimal integers within bounds, both included, joined by commas and none of them twice. */
export function integers(help: string, absent: readonly number[], low: number, high: number): Flag<readonly number[]> {
  const one = integer(help, low, low, high);
  const read = (text: string): readonly number[] => {
    const values = text.split(',').map(one.read);
    if (new Set(values).size < values.length) throw new UsageError(`names a number twice: ${show(text)}`);
    return values;
  };
  return { placeholder: '<n,...>', help, required: false, absent, shown: absent.join(','), read };
}

/** One of a few words. */
export function choice<W extends string>(help: string, absent: W, words: readonly W[]): Flag<W> {
  const read = (text: string): W => oneOf(text, words, 'must be');
  return { placeholder: words.join('|'), help, required: false, absent, read };
}

/** `text` as one of `words`, or a UsageError that begins with `what` and names the nearest. */
export function oneOf<W extends string>(text: string, words: readonly W[], what: string): W {
  const word = words.find((known) => known === text);
  if (word !== undefined) return word;
  const meant = nearest(text, words);
  throw new UsageError(
    `${what} one of ${words.join(', ')}, got ${show(text)}${meant ? `; did you mean ${meant}?` : ''}`,
  );
}

function nonEmpty(text: string): string {
  if (text === '') throw new UsageError('must not be empty');
  return text;
}

/** A word of the command line in quotes, with control characters made visible. */
export function show(text: string): string {
  return JSON.stringify(text);
}
