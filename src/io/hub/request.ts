import { patienceOf, type HubAccess } from './access.ts';
import { HubError } from './errors.ts';
import type { HubReference } from './reference.ts';
import { Transient } from './retry.ts';

/** What is asked for, for messages. */
export interface Subject {
  readonly reference: HubReference;
  /** None for the list of files. */
  readonly file?: string;
}

/** One answer with its body still to come, watched for silence. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Every piece of the body. Throws Transient when the connection is cut or silent. */
  readonly pieces: () => AsyncGenerator<Uint8Array>;
  /** Ends the connection. */
  readonly close: () => void;
}

/**
 * Asks the hub for `path`, below the endpoint, once.
 *
 * @returns an answer of a status below 300, or 416
 * @throws Transient for no answer, silence, 408, 429 and 5xx
 * @throws HubError for every other status
 */
export async function ask(
  access: HubAccess,
  path: string,
  subject: Subject,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { silenceMs } = patienceOf(access);
  const controller = new AbortController();
  const { signal } = controller;
  let silent = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      silent = true;
      controller.abort();
    }, silenceMs);
  };
  const stop = () => controller.abort();
  const close = () => {
    clearTimeout(timer);
    access.signal?.removeEventListener('abort', stop);
    stop();
  };
  const failed = (error: unknown): unknown => {
    if (access.signal?.aborted) return access.signal.reason;
    if (silent) return new Transient(`${access.endpoint} sent nothing for ${silenceMs / 1000} s${of(subject)}`);
    return new Transient(
      `${access.endpoint} cannot be reached or the connection broke${of(subject)}: ${reason(error)}`,
      {
        cause: error,
      },
    );
  };
  access.signal?.throwIfAborted();
  access.signal?.addEventListener('abort', stop, { once: true });
  wait();
  let response: Response;
  try {
    const authorization = access.token === undefined ? {} : { authorization: `Bearer ${access.token}` };
    response = await fetch(access.endpoint + path, { headers: { ...headers, ...authorization }, signal });
  } catch (error) {
    close();
    throw failed(error);
  }
  if (response.status >= 300 && response.status !== 416) {
    close();
    throw refusal(access, response, subject);
  }
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      const reader = response.body?.getReader();
      for (;;) {
        wait();
        const next = await reader?.read();
        if (!next || next.done) return;
        clearTimeout(timer);
        yield next.value;
      }
    } catch (error) {
      throw failed(error);
    } finally {
      close();
    }
  }
  return { status: response.status, headers: response.headers, pieces, close };
}

function of({ reference, file }: Subject): string {
  return ` (${file === undefined ? '' : `${file} of `}${reference.repository})`;
}

/** Of a failed `fetch`, whose own message says little: the system's. */
function reason(error: unknown): string {
  const { cause, message } = error as Error;
  const { code, message: detail } = (cause ?? {}) as { code?: string; message?: string };
  return (detail === undefined || detail === '' ? code : detail) ?? message;
}

function refusal(access: HubAccess, response: Response, subject: Subject): Error {
  const { endpoint, token } = access;
  const { reference, file } = subject;
  const { repository, revision } = reference;
  const { status, headers } = response;
  const code = headers.get('x-error-code');
  const said = shown(headers.get('x-error-message'));
  if (status === 408 || status === 429 || status >= 500) {
    const why = status === 429 ? 'limits how often it is asked' : `has trouble of its own${said}`;
    const advice = status === 429 && token === undefined ? '; with HF_TOKEN the limit is higher' : '';
    return new Transient(`${endpoint} ${why} (HTTP ${status})${advice}${of(subject)}`, {
      pauseMs: pauseAsked(headers),
    });
  }
  const login =
    token === undefined
      ? 'set HF_TOKEN to a token that may read it'
      : 'the token given (HF_TOKEN, or the token file) may not read it';
  if (code === 'GatedRepo') {
    const accept = `accept its conditions at ${endpoint}/${repository}`;
    return new HubError(
      `${repository} at ${endpoint} is gated (HTTP ${status})${said}: ${accept}${token === undefined ? ` and ${login}` : ' with the account of the token'}`,
    );
  }
  if (code === 'RevisionNotFound') {
    return new HubError(
      `${repository} at ${endpoint} has no revision ${revision}; leave it out for main, or see ${endpoint}/${repository}/commits/main`,
    );
  }
  if (code === 'EntryNotFound' || (status === 404 && file !== undefined)) {
    return new HubError(
      `${repository}@${revision} at ${endpoint} has no file ${file ?? ''} (HTTP ${status})${said}; it may have been removed`,
    );
  }
  if (status === 401 || code === 'RepoNotFound') {
    return new HubError(
      `${repository} does not exist at ${endpoint} or is private (HTTP ${status})${said}: check the name, or ${login}`,
    );
  }
  if (status === 404) {
    return new HubError(
      `${endpoint} knows no model ${repository} of revision ${revision} (HTTP 404)${said}; check both, and HF_ENDPOINT`,
    );
  }
  const what = `${file ?? 'the list of files'} of ${repository}@${revision} (HTTP ${status})${said}`;
  const advice = status === 403 ? `: ${login}, and see ${endpoint}/${repository} for conditions` : '';
  return new HubError(`${endpoint} refused ${what}${advice}`);
}

/** Words of the server, made harmless. */
function shown(text: string | null): string {
  return text === null || text === '' ? '' : `: ${text.replace(/[\0-\x1f\x7f-\x9f]+/g, ' ').slice(0, 200)}`;
}

/** Milliseconds: `Retry-After` in seconds or as a date, or the hub's own `RateLimit: "api";r=0;t=55`. */
function pauseAsked(headers: Headers): number | undefined {
  const after = headers.get('retry-after');
  if (after !== null && /^\d+$/.test(after)) return 1000 * Number(after);
  const date = after === null ? NaN : Date.parse(after);
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now());
  const seconds = /;\s*t\s*=\s*(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  return seconds === undefined ? undefined : 1000 * Number(seconds);
}
