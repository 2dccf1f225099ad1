/**
 * Logits of a model file for raw pixels, on the adapter of this process: what one driver gives, to be compared with another's.
 * Run after a build with `node dist/bench/integerLogits.js <model file> <pixels file> <images> <output file>`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createSession } from '../src/infer/session.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';

async function main([model = '', pixels = '', images = '', output = '']: readonly string[]): Promise<void> {
  const { gpu, close } = await openNodeGpu();
  try {
    const session = await createSession(gpu.device, await readFile(model), { file: model });
    const logits = await session.run(await readFile(pixels), Number(images));
    session.destroy();
    gpu.check();
    await writeFile(output, logits);
    console.log(gpu.adapter.description);
  } finally {
    close();
  }
}

await main(process.argv.slice(2));
