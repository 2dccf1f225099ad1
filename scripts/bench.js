// `npm run bench`: the kernels against the float product, then the whole job, on the adapter of this machine.
import { spawnSync } from 'node:child_process';
import { ROOT } from './setup/project.js';

const benches = ['dist/bench/kernels.js', 'dist/bench/quantize.js'];
const failed = benches.filter((bench) => {
  const { status } = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' });
  return status !== 0;
});
for (const bench of failed) console.error(`failed: ${bench}`);
process.exitCode = failed.length === 0 ? 0 : 1;
