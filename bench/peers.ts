/**
 * Our products against those of other libraries on the same adapter, measured in turns. Run after a build with
 * `node dist/bench/peers.js [tfjs] [onnxruntime]`, without a name both; ends with 1 when a claim does not hold.
 */
import { openNodeGpu } from '../src/node/openGpu.ts';
import { checkOnnxRuntime } from './peers/chromium.ts';
import { installPeers } from './peers/install.ts';
import { openTfjs } from './peers/tfjs.ts';
import { checkTfjs } from './peers/tfjsMatmul.ts';

/** TensorFlow.js in Node, on the adapter of this process. */
async function checkInNode(folder: string): Promise<number> {
  const { gpu, close } = await openNodeGpu();
  const tfjs = await openTfjs(folder);
  try {
    return await checkTfjs(gpu, tfjs);
  } finally {
    tfjs.close();
    close();
  }
}

const checks = { tfjs: checkInNode, onnxruntime: (folder: string) => checkOnnxRuntime(folder) };
const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in checks));
if (unknown !== undefined)
  throw new Error(`no peer is called ${unknown}; there are ${Object.keys(checks).join(' and ')}`);
const folder = await installPeers();
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (names.length === 0 || names.includes(name)) failed += await check(folder);
}
process.exitCode = failed === 0 ? 0 : 1;
