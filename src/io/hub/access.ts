/** How a hub is reached. */
export interface HubAccess {
  /** Its address, without a slash at the end. */
  readonly endpoint: string;
  /** Sent to the endpoint alone: `fetch` drops it when a redirect leads to another origin. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Partial<Patience> | undefined;
}

/** When to give up. */
export interface Patience {
  /** Failures in a row, without a byte between them, that are tried again. */
  readonly retries: number;
  /** The first pause before another try; each next is twice as long, up to 8 s. */
  readonly pauseMs: number;
  /** The longest pause that a server may ask for. */
  readonly longestPauseMs: number;
  /** Silence after which a connection counts as cut. */
  readonly silenceMs: number;
}

export const PATIENCE: Patience = { retries: 4, pauseMs: 500, longestPauseMs: 120_000, silenceMs: 30_000 };

export function patienceOf({ patience }: HubAccess): Patience {
  return { ...PATIENCE, ...patience };
}
