/** The command line itself is wrong: an unknown command or flag, a value that cannot be, a missing one. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Exit codes of every command; docs/cli.md is the reader's copy. */
export const EXIT = { ok: 0, failed: 1, badInput: 2, interrupted: 130 } as const;

/** Names of the errors that say that the input is wrong, not the run. */
const INPUT_ERRORS: ReadonlySet<string> = new Set(['UsageError', 'FormatError', 'InputError']);

/** The exit code that an error ends the program with. */
export function exitCodeOf(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) return EXIT.interrupted;
  return error instanceof Error && INPUT_ERRORS.has(error.name) ? EXIT.badInput : EXIT.failed;
}

/** What is printed of an error: its message, and what the operating system's code means where it has one. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  const meaning = code === undefined ? undefined : SYSTEM_CODES[code];
  return meaning && !error.message.includes(meaning) ? `${error.message}: ${meaning}` : error.message;
}

const SYSTEM_CODES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space and run again',
  EDQUOT: 'the disk quota is used up; free some space and run again',
  EFBIG: 'the file grows past the size limit of this process or disk',
  EROFS: 'the disk is read-only',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
};
