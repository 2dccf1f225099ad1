// `npm run acceptance`: the long tables on whole models and all real images, then the sample's recipe and
// the speeds on both software drivers.
// VK_ICD_FILENAMES or VK_DRIVER_FILES chooses another driver for the first part; without one it is lavapipe.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { driverFile } from './setup/drivers.js';
import { ROOT } from './setup/project.js';

/**
 * @param {string[]} command arguments of node
 * @param {string | undefined} driver file of the Vulkan driver
 */
function run(command, driver) {
  const chosen = driver === undefined ? {} : { VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
  const { status } = spawnSync(process.execPath, command, {
    cwd: ROOT,
    env: { ...process.env, ...chosen },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0;
}

const own = process.env['VK_ICD_FILENAMES'] ?? process.env['VK_DRIVER_FILES'];
const results = [
  run(['dist/bench/acceptance.js'], own ?? driverFile('lavapipe')),
  run(['dist/bench/integerAcceptance.js'], own ?? driverFile('lavapipe')),
  run(['dist/bench/calibrationAcceptance.js'], own ?? driverFile('lavapipe')),
  run(['dist/bench/onnxAcceptance.js'], own ?? driverFile('lavapipe')),
];
const folder = mkdtempSync(path.join(os.tmpdir(), 'twinshift-acceptance-'));
const outputs = [];
for (const driver of /** @type {const} */ (['lavapipe', 'swiftshader'])) {
  const out = path.join(folder, driver);
  const images = ['--images', 'models/sample/calib'];
  results.push(run(['bin/twinshift.js', 'quantize', 'models/sample', ...images, '--out', out], driverFile(driver)));
  const evaluate = ['evaluate', 'models/sample', '--images', 'models/sample/eval', '--recipe', out];
  results.push(run(['bin/twinshift.js', ...evaluate], driverFile(driver)));
  outputs.push(out);
}
results.push(run(['dist/bench/compareAdapters.js', ...outputs], undefined));
const model = path.join(folder, 'model');
results.push(run(['dist/bench/infer.js', '--keep', model], driverFile('lavapipe')));
results.push(run(['dist/bench/infer.js', '--file', model, '--batch', '8'], driverFile('swiftshader'))); // 32 images take it minutes
for (const driver of /** @type {const} */ (['lavapipe', 'swiftshader'])) {
  results.push(run(['dist/bench/peers.js', 'tfjs'], driverFile(driver)));
}
results.push(run(['dist/bench/peers.js', 'onnxruntime'], undefined));
results.push(run(['dist/bench/page.js'], undefined));
rmSync(folder, { recursive: true });
process.exitCode = results.every(Boolean) ? 0 : 1;
