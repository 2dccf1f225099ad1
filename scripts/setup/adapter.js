import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DRIVER_PATTERNS, driverEnvironment, driverFile, probe } from './drivers.js';
import { driversThatHelp, planInstall, readRelease, shellLine } from './plan.js';

/**
 * @typedef {import('./drivers.js').Driver} Driver
 * @typedef {'default' | Driver} Need an adapter that must work: the one the program would open, or that of a test project
 */

/**
 * Sees to it that every adapter of `needs` works, installing drivers where that is allowed.
 *
 * @param {readonly Need[]} needs
 * @param {boolean} dryRun say what would be done and do nothing
 * @returns {Promise<string[]>} the names of the adapters, in the order of `needs`
 * @throws {Error} when an adapter is missing and could not be installed; the message says what to do
 */
export async function ensureAdapters(needs, dryRun) {
  const before = await probeAll(needs);
  const problems = before.filter(({ problem }) => problem);
  if (problems.length === 0) return before.map(({ name }) => name);
  for (const { need, problem } of problems) console.log(`set-up: ${describe(need)}: ${problem}`);
  const incurable = problems.find(({ curable }) => !curable);
  if (incurable) throw new Error(`the ${describe(incurable.need)} does not work, and a driver would not help`);

  const drivers = [
    ...new Set(problems.flatMap(({ need }) => (need === 'default' ? driversThatHelp(process.env) : need))),
  ];
  if (drivers.length === 0) {
    const named = process.env['VK_DRIVER_FILES'] || process.env['VK_ICD_FILENAMES'];
    throw new Error(
      `VK_DRIVER_FILES or VK_ICD_FILENAMES names ${named}, which gives no adapter: correct it or unset it`,
    );
  }
  const machine = thisMachine();
  const plan = planInstall(machine, drivers);
  if (plan.steps.length > 0 && (plan.allowed || dryRun)) {
    announce(plan, dryRun);
    if (dryRun) return before.map(({ name }) => name);
    for (const step of plan.steps) runStep(step);
  }
  const lines = plan.allowed
    ? plan.advice
    : [...plan.steps.map((step) => shellLine(step, !machine.root)), ...plan.advice];
  if (lines.length > 0) {
    throw new Error(`do this, then run the same command again:\n${lines.map((line) => `    ${line}`).join('\n')}`);
  }
  const after = await probeAll(needs);
  const still = after.filter(({ problem }) => problem);
  if (still.length > 0) {
    const reasons = still.map(({ need, problem }) => `${describe(need)}: ${problem}`);
    throw new Error(`the drivers are installed, and yet\n    ${reasons.join('\n    ')}`);
  }
  return after.map(({ name }) => name);
}

/**
 * @param {readonly Need[]} needs
 */
function probeAll(needs) {
  return Promise.all(
    needs.map(async (need) => {
      const file = need === 'default' ? undefined : driverFile(need);
      if (file && !existsSync(file)) return { need, name: '', problem: `${file} is not there`, curable: true };
      const result = await probe(file ? driverEnvironment(file) : {});
      if ('failed' in result) return { need, name: '', problem: `the probe failed: ${result.failed}`, curable: false };
      if ('none' in result) return { need, name: '', problem: `no adapter. ${result.none}`.trim(), curable: true };
      const right = need === 'default' || DRIVER_PATTERNS[need].test(result.found);
      return {
        need,
        name: result.found,
        problem: right ? '' : `${file} gave the adapter ${result.found}`,
        curable: right,
      };
    }),
  );
}

/** @param {Need} need */
function describe(need) {
  return need === 'default' ? 'WebGPU adapter' : `${need} adapter`;
}

/** @returns {import('./plan.js').Machine} */
export function thisMachine() {
  const folder = '/etc/apt/sources.list.d';
  const lists = existsSync(folder) ? readdirSync(folder).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const files = ['/etc/apt/sources.list', ...lists.map((name) => path.join(folder, name))].filter((file) =>
    existsSync(file),
  );
  return {
    platform: process.platform,
    release: existsSync('/etc/os-release') ? readRelease(readFileSync('/etc/os-release', 'utf8')) : {},
    root: process.getuid?.() === 0,
    apt: existsSync('/usr/bin/apt-get'),
    sources: files.map((file) => readFileSync(file, 'utf8')).join('\n'),
  };
}

/**
 * @param {import('./plan.js').Plan} plan
 * @param {boolean} dryRun
 */
function announce(plan, dryRun) {
  console.log(dryRun ? 'set-up: would install a driver as follows:' : 'set-up: installing a driver as follows:');
  for (const step of plan.steps) {
    if ('run' in step) console.log(`    ${step.run.join(' ')}`);
    else console.log(`    write ${step.write}:\n${step.lines.map((line) => `        ${line}`).join('\n')}`);
  }
  console.log(`set-up: to undo it:\n${plan.undo.map((line) => `    ${line}`).join('\n')}`);
}

/** @param {import('./plan.js').Step} step */
function runStep(step) {
  if ('write' in step) return writeFileSync(step.write, `${step.lines.join('\n')}\n`);
  const [command = '', ...args] = step.run;
  console.log(`set-up: ${step.run.join(' ')}`);
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
  const { status, error } = spawnSync(command, [...options, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status !== 0) throw new Error(`${step.run.join(' ')} failed (${error?.message ?? `exit ${status}`})`);
}
