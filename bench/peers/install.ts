import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const FILES = ['package.json', 'package-lock.json'];

/**
 * A folder whose `node_modules` has the peers at the versions of `bench/peers/package-lock.json`. They are not packages of this
 * project: they would nearly double its installation, and no file of it could import them by accident from here.
 *
 * @param root of the checkout
 */
export async function installPeers(root = process.cwd()): Promise<string> {
  const folder = path.join(root, '.twinshift/peers');
  const wanted = path.join(root, 'bench/peers');
  const installed = path.join(folder, 'node_modules/.package-lock.json');
  const textOf = (file: string) => readFile(file, 'utf8').catch(() => undefined);
  const current =
    (await textOf(path.join(folder, 'package-lock.json'))) === (await textOf(path.join(wanted, 'package-lock.json')));
  if (current && (await textOf(installed)) !== undefined) return folder;
  console.error('installing the peers (218 MB) below .twinshift/peers');
  await mkdir(folder, { recursive: true });
  for (const file of FILES) await copyFile(path.join(wanted, file), path.join(folder, file));
  const options = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  // npm is a batch file on Windows, which only a shell starts
  execFileSync('npm', options, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  return folder;
}
