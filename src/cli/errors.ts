/** The command line itself is wrong: an unknown command or flag, a value that cannot be, a missing one. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Exit codes of every command; docs/cli.md is the reader's copy. */
export const EXIT = { ok: 0, failed: 1, badInput: 2, interrupted: 130 } as const;

/** Names of the errors that say that the input is wrong, not the run. */
const INPUT_ERRORS: ReadonlySet<string> = new Set([
  'UsageError',
  'FormatError',
  'InputError',
  'HubError',
  'ExportError',
  'BudgetError',
  'OptionsError',
]);

/** The exit code that an error ends the program with. */
export function exitCodeOf(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) return EXIT.interrupted;
  return error instanceof Error && INPUT_ERRORS.has(error.name) ? EXIT.badInput : EXIT.failed;
}
