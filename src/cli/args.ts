import { parseArgs } from 'node:util';
import { UsageError } from './errors.ts';
import { show, type Flags, type FlagValues } from './flags.ts';
import { nearest } from './nearest.ts';

/** The words of a command line, read: values of all flags, which of them were given, and the words without a flag. */
export interface ParsedArguments<F extends Flags> {
  readonly values: FlagValues<F>;
  readonly given: ReadonlySet<keyof F>;
  readonly positionals: readonly string[];
  /** `--help` or `-h` is among them; nothing else is checked then. */
  readonly help: boolean;
}

/**
 * Reads the words after the command.
 *
 * @param expected names of the words that stand without a flag, such as `<model>`; the last may be one or more, `<image...>`
 * @throws UsageError for a flag that is unknown (with the nearest known one), given twice, without its value or with an
 *   impossible one; for a required flag that is absent; for too few or too many words
 */
export function parseArguments<F extends Flags>(
  args: readonly string[],
  flags: F,
  expected: readonly string[],
): ParsedArguments<F> {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, { type: flag.placeholder ? 'string' : 'boolean' } as const]),
  );
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    strict: false,
    tokens: true,
  });
  const texts = new Map<string, string>();
  const positionals: string[] = [];
  let help = false;
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    else if (token.kind === 'option' && token.name === 'help') help = true;
    else if (token.kind === 'option') readFlag(token, flags, texts);
    if (help) break; // whatever else is wrong, help was asked for
  }
  if (!help) {
    checkPositionals(positionals, expected);
    checkRequired(flags, texts);
  }
  const values = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [name, help ? flag.absent : readValue(name, flag, texts.get(name))]),
  ) as FlagValues<F>;
  return { values, given: new Set(texts.keys()), positionals, help };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function readFlag(token: OptionToken, flags: Flags, texts: Map<string, string>): void {
  const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined;
  if (!flag) {
    const meant = nearest(token.name, [...Object.keys(flags), 'help']);
    throw new UsageError(`unknown flag ${token.rawName}${meant ? `; did you mean --${meant}?` : ''}`);
  }
  if (texts.has(token.name)) throw new UsageError(`${token.rawName} is given twice`);
  if (flag.placeholder === null) {
    if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value, got ${show(token.value)}`);
    texts.set(token.name, '');
    return;
  }
  // `--out --force`: the next flag is no value; `--seed -1` is one, and is refused by its range
  const missing = token.value === undefined || (!token.inlineValue && /^-\D/.test(token.value));
  if (missing) throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${flag.placeholder}`);
  texts.set(token.name, token.value);
}

function readValue(name: string, flag: Flags[string], text: string | undefined): unknown {
  if (text === undefined) return flag.absent;
  try {
    return flag.read(text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`--${name} ${error.message}`);
    throw error;
  }
}

function checkPositionals(positionals: readonly string[], expected: readonly string[]): void {
  const missing = expected[positionals.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  const extra = expected.at(-1)?.endsWith('...>') ? undefined : positionals[expected.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument ${show(extra)}`);
  const empty = positionals.indexOf('');
  if (empty >= 0) throw new UsageError(`${expected[empty] ?? expected.at(-1)} must not be empty`);
}

function checkRequired(flags: Flags, texts: ReadonlyMap<string, string>): void {
  for (const [name, flag] of Object.entries(flags)) {
    if (flag.required && !texts.has(name)) throw new UsageError(`--${name} ${flag.placeholder} is missing`);
  }
}
