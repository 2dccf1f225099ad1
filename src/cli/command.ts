import type { Flags, FlagValues } from './flags.ts';
import type { Progress } from './progress.ts';

/** What a command has of the outside world. */
export interface Context {
  /** Prints to stdout: results only. */
  readonly print: (text: string) => void;
  /** Progress and remarks, on stderr. */
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** The words of one call of a command. */
export interface Call<F extends Flags> {
  readonly values: FlagValues<F>;
  readonly given: ReadonlySet<keyof F>;
  readonly positionals: readonly string[];
}

/** One word after `twinshift`: its flags, its help and its work. */
export interface Command<F extends Flags = Flags> {
  readonly name: string;
  readonly summary: string;
  /** Words that stand without a flag, such as `<model>`; the last may be one or more, `<image...>`. */
  readonly positionals: readonly string[];
  /** Lines under the usage line of its help. */
  readonly description: readonly string[];
  readonly flags: F;
  readonly examples: readonly string[];
  /** Does the work; the result is the exit code. */
  readonly run: (call: Call<F>, context: Context) => Promise<number>;
}
