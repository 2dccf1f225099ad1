import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/twinshift.js', import.meta.url));

export interface Outcome {
  /** Exit code, or the signal that ended the process. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Words of another program that is given the command as its last arguments. */
  readonly wrapper?: readonly string[];
  /** Called with all of stderr so far whenever there is more. */
  readonly onStderr?: (text: string, child: ChildProcess) => void;
}

/** Runs the built command as a user would and waits for its end. */
export function twinshift(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const words = [...(options.wrapper ?? []), process.execPath, BIN, ...args];
  const spawned = { cwd: options.cwd, env: { ...process.env, ...options.env } };
  const child = spawn(words[0] as string, words.slice(1), spawned);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    options.onStderr?.(stderr, child);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, stdout, stderr: withoutDawn(stderr) }));
  });
}

/** Dawn warns of limits of its own accord, before any of our code runs. */
function withoutDawn(stderr: string): string {
  return stderr.replace(/^Warning: max\w+ artificially reduced .*\n/gm, '');
}
