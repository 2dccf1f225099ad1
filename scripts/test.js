// Runs every check: lint, types, formatting, then all tests; the last line is `N passed, N failed`. `node scripts/setup.js --browser`
// goes before it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { driverFile } from './setup/drivers.js';
import { ROOT } from './setup/project.js';
import { countTests } from './test/count.js';

/** The driver that each vitest project needs. */
const PROJECTS = /** @type {const} */ ({
  plain: undefined,
  lavapipe: 'lavapipe',
  swiftshader: 'swiftshader',
  cli: 'lavapipe',
});

let passed = 0;
/** @type {string[]} */
const failures = [];

const checks = {
  lint: ['eslint/bin/eslint.js', '.'],
  types: ['typescript/bin/tsc', '--noEmit'],
  formatting: ['prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
};
for (const [name, command] of Object.entries(checks)) {
  const started = performance.now();
  const ok = runTool(command);
  console.log(`${ok ? 'passed' : 'FAILED'}: ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  if (ok) passed++;
  else failures.push(name);
}

const runnable = Object.entries(PROJECTS).filter(([project, driver]) => {
  if (!driver || existsSync(driverFile(driver))) return true;
  failures.push(`the ${project} tests: ${driverFile(driver)} is not there, run node scripts/setup.js --browser`);
  return false;
});
const projects = runnable.map(([project]) => project);
const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-test-'));
const report = path.join(folder, 'report.json');
process.env['TWINSHIFT_TEST_REPORT'] = report;
const ok = runTool([
  'vitest/vitest.mjs',
  'run',
  ...projects.map((project) => `--project=${project}`),
  '--reporter=default',
  `--reporter=${path.join(ROOT, 'scripts/test/reporter.js')}`,
]);
const counted = countTests(existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined, projects, ok);
rmSync(folder, { recursive: true });
failures.push(...counted.failures);
for (const [project, count] of Object.entries(counted.passed)) {
  console.log(`passed: ${count} tests of the project ${project}`);
  passed += count;
}

for (const failure of failures) console.log(`FAILED: ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
if (failures.length > 0) process.exitCode = 1;

/** @param {string[]} command a script of node_modules and its arguments */
function runTool([script = '', ...args]) {
  const tool = path.join(ROOT, 'node_modules', script);
  return (
    spawnSync(process.execPath, [tool, ...args], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
  );
}
