import { patienceOf, type HubAccess } from './access.ts';
import { HubError } from './errors.ts';

const LONGEST_BACKOFF_MS = 8000;

/** A failure that another try may mend. */
export class Transient extends Error {
  /** The pause that the server asked for. */
  readonly pauseMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly pauseMs?: number | undefined } = {}) {
    super(message, options);
    this.pauseMs = options.pauseMs;
  }
}

/**
 * What `work` gives, which is called again after a pause when it throws Transient. It calls `alive` when it got anywhere: failures
 * are counted from then.
 *
 * @throws HubError when it gives up; the signal's reason when it is aborted
 */
export async function withRetries<T>(access: HubAccess, work: (alive: () => void) => Promise<T>): Promise<T> {
  const { retries, pauseMs, longestPauseMs } = patienceOf(access);
  let failures = 0;
  for (;;) {
    try {
      return await work(() => (failures = 0));
    } catch (cause) {
      access.signal?.throwIfAborted();
      if (!(cause instanceof Transient)) throw cause;
      const pause = cause.pauseMs ?? Math.min(LONGEST_BACKOFF_MS, pauseMs * 2 ** failures) * (0.75 + Math.random() / 2);
      failures++;
      if (pause > longestPauseMs) {
        const advice = `It asks for a pause of ${Math.ceil(pause / 1000)} s: try again then; what has come is kept.`;
        throw new HubError(`${cause.message}. ${advice}`, { cause, unreachable: true });
      }
      if (failures > retries) {
        const tries = retries === 0 ? '' : ` (tried ${failures} times)`;
        throw new HubError(`${cause.message}${tries}. Try again later; what has come is kept.`, {
          cause,
          unreachable: true,
        });
      }
      await sleep(pause, access.signal);
    }
  }
}

/** Waits; throws the signal's reason when that comes first. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
