import { ablate } from './ablate.ts';
import { parseArguments } from './args.ts';
import { bench } from './bench.ts';
import { classify } from './classify.ts';
import type { Command } from './command.ts';
import { curve } from './curve.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { EXIT, exitCodeOf, UsageError } from './errors.ts';
import { evaluate } from './evaluate.ts';
import { exportCommand } from './export.ts';
import { show } from './flags.ts';
import { commandHelp, programHelp } from './help.ts';
import { inspect } from './inspect.ts';
import { interruptible } from './interrupt.ts';
import { nearest } from './nearest.ts';
import { createProgress } from './progress.ts';
import { quantize } from './quantize.ts';
import { report } from './report.ts';
import { version } from './version.ts';

/** In the order of the help. */
export const COMMANDS = [
  quantize,
  exportCommand,
  classify,
  evaluate,
  ablate,
  curve,
  report,
  diff,
  bench,
  inspect,
  doctor,
] as unknown as readonly Command[];

/**
 * Runs one command line, `args` being the words after `twinshift`. Results go to stdout, everything else to stderr.
 *
 * @returns the exit code: 0 done, 1 the run failed, 2 wrong input, 130 interrupted
 */
export async function main(args: readonly string[]): Promise<number> {
  const { signal, release } = interruptible();
  const progress = createProgress(process.stderr);
  process.stdout.on('error', ignoreClosedPipe);
  try {
    return await dispatch(args, { print: (text) => process.stdout.write(text), progress, signal });
  } catch (error) {
    const code = exitCodeOf(error, signal);
    progress.note(
      code === EXIT.interrupted
        ? 'twinshift: interrupted'
        : `twinshift: ${error instanceof Error ? error.message : String(error)}`,
    );
    if (error instanceof UsageError) progress.note(`Run: twinshift ${helpFor(args)}`);
    if (process.env['TWINSHIFT_DEBUG'] === '1' && error instanceof Error) progress.note(debugText(error));
    return code;
  } finally {
    progress.clear();
    release();
  }
}

async function dispatch(args: readonly string[], context: Parameters<Command['run']>[1]): Promise<number> {
  const [word, ...rest] = args;
  if (word === '--version' || word === '-V') {
    context.print(`${version}\n`);
    return EXIT.ok;
  }
  if (word === undefined || word === '--help' || word === '-h' || word === 'help') {
    return printHelp(word === 'help' ? rest[0] : undefined, word === undefined, context);
  }
  const command = commandNamed(word);
  const { help, ...call } = parseArguments(rest, command.flags, command.positionals);
  if (help) {
    context.print(commandHelp(command));
    return EXIT.ok;
  }
  return command.run(call, context);
}

/** Help was asked for on stdout; without any word it is an answer to a mistake, on stderr. */
function printHelp(word: string | undefined, mistake: boolean, context: Parameters<Command['run']>[1]): number {
  const text = word === undefined ? programHelp(COMMANDS, version) : commandHelp(commandNamed(word));
  if (mistake) context.progress.note(text.trimEnd());
  else context.print(text);
  return mistake ? EXIT.badInput : EXIT.ok;
}

function commandNamed(word: string): Command {
  const command = COMMANDS.find(({ name }) => name === word);
  if (command) return command;
  if (word.startsWith('-')) {
    throw new UsageError(
      `the command comes first, got ${word}; it is one of ${COMMANDS.map(({ name }) => name).join(', ')}`,
    );
  }
  const names = COMMANDS.map(({ name }) => name);
  const meant = nearest(word, names);
  throw new UsageError(
    `unknown command ${show(word)}; ${meant ? `did you mean ${meant}?` : `it is one of ${names.join(', ')}`}`,
  );
}

function helpFor([word]: readonly string[]): string {
  return COMMANDS.some(({ name }) => name === word) ? `${word} --help` : '--help';
}

/** `twinshift inspect model | head` closes stdout early: nothing is wrong then. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

function debugText(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${error.cause.stack ?? error.cause.message}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
