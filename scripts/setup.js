// Makes a clone ready to run, and does only what is missing: Node version, packages, build, a working WebGPU adapter.
//
//   node scripts/setup.js             for the program: any adapter, a GPU before a software driver
//   node scripts/setup.js --browser   for the tests: both software drivers, lavapipe and Chromium's SwiftShader, and a checker of ONNX
//   node scripts/setup.js --page      for the page: no adapter, since the browser has its own
//   node scripts/setup.js --dry-run   say what would be done
//
// No packages are needed to run it, and nothing newer than old Nodes know before their version is checked.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ensureAdapters, thisMachine } from './setup/adapter.js';
import { installChecker } from './setup/checker.js';
import { fingerprint, isCurrent, writeRecord } from './setup/fingerprint.js';
import { nodeProblem } from './setup/node.js';
import { BUILD_OUTPUTS, BUILD_RECORD, INSTALL_RECORD, LOCKFILE, ROOT, SOURCES } from './setup/project.js';

const dryRun = process.argv.includes('--dry-run');
/** @type {import('./setup/adapter.js').Need[]} */
const needs = process.argv.includes('--browser')
  ? ['lavapipe', 'swiftshader']
  : process.argv.includes('--page')
    ? []
    : ['default'];

try {
  const problem = nodeProblem(process.version);
  if (problem) throw new Error(problem);
  const installed = installPackages();
  if (installed) build();
  if (installed) {
    const adapters = await ensureAdapters(needs, dryRun);
    if (needs.length > 1) installChecker(thisMachine(), dryRun); // the tests' own
    if (!dryRun) console.log(`set-up: ready${adapters.length > 0 ? `, on ${adapters.join(' and ')}` : ''}`);
  } else if (needs.length > 0) {
    console.log('set-up: would probe for a WebGPU adapter once the packages are there');
  }
} catch (error) {
  console.error(`set-up: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

/** @returns {boolean} the packages are there */
function installPackages() {
  const hash = fingerprint(ROOT, [LOCKFILE]);
  if (isCurrent(INSTALL_RECORD, hash)) return true;
  announce('npm ci --include=dev', 'the packages of package-lock.json are not installed');
  if (dryRun) return false;
  const npm = process.env['npm_execpath'];
  const [command, before] = npm && /npm-cli\.c?js$/.test(npm) ? [process.execPath, [npm]] : ['npm', []];
  run(command, [...before, 'ci', '--include=dev', '--no-audit', '--no-fund'], 'npm ci --include=dev');
  writeRecord(INSTALL_RECORD, hash);
  return true;
}

function build() {
  if (isCurrent(BUILD_RECORD, fingerprint(ROOT, SOURCES), BUILD_OUTPUTS)) return;
  announce('npm run build', 'the sources are not those of the last build');
  if (!dryRun) run(process.execPath, [path.join(ROOT, 'scripts/build.js')], 'npm run build');
}

/**
 * @param {string} command
 * @param {string} why
 */
function announce(command, why) {
  console.log(`set-up: ${why}: ${dryRun ? 'would run ' : ''}${command}`);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} shown
 */
function run(command, args, shown) {
  const shell = process.platform === 'win32' && command === 'npm'; // there npm is a batch file
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }; // its CUDA libraries come from outside the registry
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    env,
    shell,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error(`${shown} failed (${error?.message ?? `exit ${status}`}), see above`);
}
