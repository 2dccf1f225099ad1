import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
let announced = false;

/**
 * The folder of the real models and photos: `TWINSHIFT_DATA`, else `../shared/data` beside the checkout when it exists.
 * Undefined, said once on stderr, when there is none; an error when `TWINSHIFT_DATA` names a folder that is not there.
 */
export function dataDirectory(): string | undefined {
  const named = process.env['TWINSHIFT_DATA'];
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`TWINSHIFT_DATA names ${named}, which does not exist.`);
    return resolve(named);
  }
  const beside = resolve(root, '../shared/data');
  if (existsSync(beside)) return beside;
  if (!announced)
    process.stderr.write('No real data (set TWINSHIFT_DATA): checks on real models and photos are left out.\n');
  announced = true;
  return undefined;
}
