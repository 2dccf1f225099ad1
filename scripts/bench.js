// `npm run bench`: every bench on the adapter of this machine, or the one that is named, with the arguments after its name:
// `npm run bench -- infer --batch 1,64`.
import { spawnSync } from 'node:child_process';
import { ROOT } from './setup/project.js';

/** kernels against the float product, the calibration job, integer-only inference against the float path, other libraries, the page */
const BENCHES = ['kernels', 'quantize', 'infer', 'peers', 'page'];

const [name, ...args] = process.argv.slice(2);
if (name !== undefined && !BENCHES.includes(name)) {
  console.error(`no bench is called ${name}; there are ${BENCHES.join(', ')}`);
  process.exitCode = 2;
} else {
  const failed = (name === undefined ? BENCHES : [name]).filter((bench) => {
    const script = `dist/bench/${bench}.js`;
    return spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: 'inherit' }).status !== 0;
  });
  for (const bench of failed) console.error(`failed: ${bench}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
