import { homedir } from 'node:os';
import { join } from 'node:path';

/** The user's cache folder of this program: `TWINSHIFT_CACHE`, else `XDG_CACHE_HOME/twinshift`, else `~/.cache/twinshift`. */
export function cacheRoot(): string {
  const own = process.env['TWINSHIFT_CACHE'];
  if (own) return own;
  const shared = process.env['XDG_CACHE_HOME'];
  return join(shared ? shared : join(homedir(), '.cache'), 'twinshift');
}
