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

/** One of a few words. */
export function choice<W extends string>(help: string, absent: W, words: readonly W[]): Flag<W> {
  const read = (text: string): W => {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    const meant = nearest(text, words);
    throw new UsageError(
      `must be one of ${words.join(', ')}, got ${show(text)}${meant ? `; did you mean ${meant}?` : ''}`,
    );
  };
  return { placeholder: words.join('|'), help, required: false, absent, read };
}

function nonEmpty(text: string): string {
  if (text === '') throw new UsageError('must not be empty');
  return text;
}

/** A word of the command line in quotes, with control characters made visible. */
export function show(text: string): string {
  return JSON.stringify(text);
}
