import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HubError } from '../../io/hub/errors.ts';

/** What the environment says of the hub, by the variables that Python's `huggingface_hub` reads. */
export interface HubSettings {
  /** `HF_ENDPOINT`, without a slash at the end. */
  readonly endpoint: string;
  /** The folder of all cached repositories: `HF_HUB_CACHE`, else `hub` in `HF_HOME`. */
  readonly cache: string;
  /** `HF_TOKEN`, else what the token file holds. */
  readonly token: string | undefined;
  /** `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`: nothing is asked of any network. */
  readonly offline: boolean;
  /** Not with `HF_HUB_DISABLE_SYMLINKS`. */
  readonly symlinks: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads them.
 *
 * @throws HubError for an endpoint that is no address and for a token that cannot be sent
 */
export async function hubSettings(env: Environment = process.env): Promise<HubSettings> {
  const cacheHome = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const home = expanded(env['HF_HOME'] ?? join(cacheHome, 'huggingface'), env);
  const cache = env['HF_HUB_CACHE'] ?? env['HUGGINGFACE_HUB_CACHE'];
  return {
    endpoint: endpointOf(env['HF_ENDPOINT']),
    cache: cache === undefined ? join(home, 'hub') : expanded(cache, env),
    token: await tokenOf(env, home),
    offline: isOn(env['HF_HUB_OFFLINE'] || env['TRANSFORMERS_OFFLINE']),
    symlinks: !isOn(env['HF_HUB_DISABLE_SYMLINKS']),
  };
}

function endpointOf(text: string | undefined): string {
  if (text === undefined || text === '') return 'https://huggingface.co';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new HubError(
      `HF_ENDPOINT ${JSON.stringify(text)} is no address of a hub; give one such as https://huggingface.co`,
    );
  }
  return text.replace(/\/+$/, '');
}

async function tokenOf(env: Environment, home: string): Promise<string | undefined> {
  const given = (env['HF_TOKEN'] ?? env['HUGGING_FACE_HUB_TOKEN'])?.trim();
  if (given) return sendable(given, 'HF_TOKEN');
  if (isOn(env['HF_HUB_DISABLE_IMPLICIT_TOKEN'])) return undefined;
  const file = expanded(env['HF_TOKEN_PATH'] ?? join(home, 'token'), env);
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim();
  return kept === '' ? undefined : sendable(kept, file);
}

/** The token itself is in no message. */
function sendable(token: string, where: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new HubError(`the token of ${where} holds characters that no token has; log in again with: hf auth login`);
}

function isOn(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((value ?? '').toUpperCase());
}

/** `~` and `$NAME` in a path, as Python's `expanduser` and `expandvars`. */
function expanded(path: string, env: Environment): string {
  const home = path.replace(/^~(?=$|[\\/])/, homedir());
  return home.replace(
    /\$(?:(\w+)|\{(\w+)\})/g,
    (whole, plain?: string, braced?: string) => env[plain ?? braced ?? ''] ?? whole,
  );
}
