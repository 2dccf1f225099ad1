// Builds dist/: the library, the command and the page with vite, the type declarations with tsc, and a record of what they were made from.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fingerprint, writeRecord } from './setup/fingerprint.js';
import { BUILD_RECORD, ROOT, SOURCES } from './setup/project.js';

/** @param {string[]} command a script of node_modules and its arguments */
function run([script = '', ...args]) {
  execFileSync(process.execPath, [path.join(ROOT, 'node_modules', script), ...args], { cwd: ROOT, stdio: 'inherit' });
}

if (!existsSync(path.join(ROOT, 'node_modules/vite'))) {
  console.error('the packages are not installed: run npm ci, or npm start, which does all set-up');
  process.exit(1);
}
const hash = fingerprint(ROOT, SOURCES); // before the build: an edit made meanwhile is built the next time
try {
  run(['vite/bin/vite.js', 'build', '--logLevel', 'warn']);
  run(['vite/bin/vite.js', 'build', '--logLevel', 'warn', '--config', 'demo/vite.config.ts']);
  run(['typescript/bin/tsc', '-p', 'tsconfig.build.json']);
  writeRecord(BUILD_RECORD, hash);
} catch {
  process.exitCode = 1; // the tool has said why
}
