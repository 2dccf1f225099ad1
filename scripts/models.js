// `npm run models`: fills the table of docs/models.md by running every step on tiny random models in every layout.
import { spawnSync } from 'node:child_process';
import { ROOT } from './setup/project.js';

const run = (/** @type {string[]} */ args) =>
  spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;

const status = run(['dist/bench/models.js']);
process.exitCode = run(['node_modules/prettier/bin/prettier.cjs', '--write', 'docs/models.md']) || status;
