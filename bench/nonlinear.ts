/**
 * What each integer form of softmax, GELU and LayerNorm costs a model: prints the table of docs/integer-nonlinear.md. Run after a
 * build with `node dist/bench/nonlinear.js <float model> <recipe folder> <labelled images>`.
 */
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { loadRecipeFolder } from '../src/node/recipeFolder.ts';
import { createFloatRunner } from '../src/simulate/simulate.ts';
import { concatenateBytes } from './support/concatenateBytes.ts';
import { labelledImages } from './support/data.ts';
import { NONLINEAR_HEADER, nonlinearCells, nonlinearTable } from './support/nonlinearTable.ts';
import { printTable } from './support/table.ts';

async function main(args: readonly string[]): Promise<number> {
  const [modelFolder, recipeFolder, imageFolder] = args;
  if (modelFolder === undefined || recipeFolder === undefined || imageFolder === undefined) {
    console.error('usage: node dist/bench/nonlinear.js <float model> <recipe folder> <labelled images>');
    return 2;
  }
  const model = await loadModelFolder(modelFolder);
  const recipe = await loadRecipeFolder(recipeFolder, model, modelFolder);
  const { images, labels } = await labelledImages(imageFolder, model);
  const rgb = images.map((image) => image.rgb);
  const { gpu, close } = await openNodeGpu();
  try {
    const runner = await createFloatRunner(gpu, model);
    const float = await runner.logits(rgb);
    runner.destroy();
    const evaluation = { pixels: concatenateBytes(rgb), labels, float };
    const input = { ...recipe, writtenBy: 'bench' };
    const rows = await nonlinearTable(gpu, input, evaluation, (row) => console.error(nonlinearCells(row).join(' | ')));
    const title = `Integer nonlinearities, ${images.length} images, ${gpu.adapter.description}`;
    printTable(title, NONLINEAR_HEADER, rows.map(nonlinearCells));
    return 0;
  } finally {
    close();
  }
}

process.exitCode = await main(process.argv.slice(2));
