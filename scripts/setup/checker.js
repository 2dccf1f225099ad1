import { spawnSync } from 'node:child_process';

/** Debian's Python: another one on the PATH need not know the packages of apt. */
const PYTHON = '/usr/bin/python3';

/**
 * What installs the checker of ONNX, python3-onnx: empty where the system has no such package or it may not be installed.
 *
 * @param {Pick<import('./plan.js').Machine, 'platform' | 'release' | 'root' | 'apt'>} machine
 * @returns {string[][]}
 */
export function checkerCommands({ platform, release, root, apt }) {
  const known = platform === 'linux' && (release['ID'] === 'debian' || release['ID'] === 'ubuntu');
  if (!known || !root || !apt) return [];
  return [
    ['apt-get', 'update'],
    ['apt-get', 'install', '--yes', '--no-install-recommends', 'python3-onnx'],
  ];
}

/**
 * Installs the checker of ONNX where that is possible; the tests go on without it.
 *
 * @param {Pick<import('./plan.js').Machine, 'platform' | 'release' | 'root' | 'apt'>} machine
 * @param {boolean} dryRun say what would be done and do nothing
 */
export function installChecker(machine, dryRun) {
  if (spawnSync(PYTHON, ['-c', 'import onnx'], { stdio: 'ignore' }).status === 0) return;
  const commands = checkerCommands(machine);
  if (commands.length === 0) {
    console.log('set-up: no checker of ONNX (python3-onnx): exported files are run, not checked');
    return;
  }
  for (const [command = '', ...args] of commands) {
    console.log(`set-up: ${dryRun ? 'would run ' : ''}${[command, ...args].join(' ')}`);
    if (dryRun) continue;
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = ['-q', '-o', 'DPkg::Lock::Timeout=120'];
    const { status } = spawnSync(command, [...options, ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) console.log('set-up: that failed, exported ONNX files are run, not checked');
  }
}
