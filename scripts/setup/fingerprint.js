import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * SHA-256 over the names and contents of files; a folder stands for everything below it, a missing path for nothing.
 * Contents, not times: a checkout that only touches times costs no rebuild, and one that restores old times is seen.
 *
 * @param {string} root
 * @param {readonly string[]} paths relative to `root`
 * @returns {string} hexadecimal
 */
export function fingerprint(root, paths) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap((start) => filesBelow(root, start)).sort()) {
    const contents = readFileSync(path.join(root, file));
    hash.update(`${file}\0${contents.length}\0`).update(contents);
  }
  return hash.digest('hex');
}

/**
 * True when `record` (a JSON file that `writeRecord` made) names `hash` and all of `outputs` are there.
 *
 * @param {string} record
 * @param {string} hash
 * @param {readonly string[]} [outputs]
 */
export function isCurrent(record, hash, outputs = []) {
  if (!existsSync(record) || !outputs.every((file) => existsSync(file))) return false;
  try {
    return JSON.parse(readFileSync(record, 'utf8')).hash === hash;
  } catch {
    return false; // a record cut short by an interrupted run
  }
}

/**
 * @param {string} record
 * @param {string} hash
 */
export function writeRecord(record, hash) {
  mkdirSync(path.dirname(record), { recursive: true });
  writeFileSync(record, `${JSON.stringify({ hash })}\n`);
}

/**
 * @param {string} root
 * @param {string} start
 * @returns {string[]} with forward slashes
 */
function filesBelow(root, start) {
  const whole = path.join(root, start);
  if (!existsSync(whole)) return [];
  if (!statSync(whole).isDirectory()) return [start];
  return readdirSync(whole).flatMap((name) => filesBelow(root, `${start}/${name}`));
}
