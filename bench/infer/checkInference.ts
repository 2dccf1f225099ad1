import type { IntegerModel } from '../../src/format/model.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Model } from '../../src/model/load.ts';
import { benchModelFile, type BenchResult } from '../../src/node/benchModelFile.ts';
import { atLeast, printClaims, printTable } from '../support/table.ts';
import { layerGroups, layerOfAllBlocks, type LayerGroup } from './layers.ts';

/** The batch size that the claim is about. */
const CLAIMED_BATCH = 8;

/** Integer-only inference of `integer` against the float path of `model`, in turns, and where its time goes. */
export async function checkInference(
  gpu: Gpu,
  integer: IntegerModel,
  model: Model,
  { batches = [1, CLAIMED_BATCH, 32], seconds = 5 } = {},
): Promise<number> {
  const file = { path: integer.architecture.name, byteLength: 0, model: integer };
  const result = await benchModelFile(gpu, file, { batches, seconds, against: model });
  const where = `${integer.architecture.name} on ${gpu.adapter.description}`;
  printSpeed(where, result);
  if (result.layers === null) {
    console.log('\nThis adapter has no timestamps: no table of layers.');
  } else {
    const { program } = integer;
    const images = `${where}, ${result.layersBatch} images a batch`;
    printLayers(
      `Kinds of operations, ${images}`,
      layerGroups(program, result.layers, ({ kind }) => kind),
    );
    printLayers(`Layers, ${images}`, layerGroups(program, result.layers, layerOfAllBlocks));
  }
  const claimed = result.batches.find(({ batch }) => batch === CLAIMED_BATCH);
  if (!claimed) return 0;
  return printClaims(`Speed of integer-only inference, ${where}`, [
    atLeast(`images a second, integer over float, batch ${CLAIMED_BATCH}`, claimed.ratio as number, leastRatio(gpu)),
  ]);
}

/** llvmpipe multiplies packed integers much faster than floats; SwiftShader about as fast. */
function leastRatio({ adapter }: Gpu): number {
  return /llvmpipe/i.test(adapter.description) ? 1.8 : 1;
}

/** Speeds as ratios: to our float path, and to one image at a time. */
function printSpeed(where: string, { batches, memory }: BenchResult): void {
  const [first] = batches;
  printTable(
    `Speed of ${where}`,
    ['batch', 'integer over float, images a second', 'integer over its batch 1', 'float over its batch 1', 'runs'],
    batches.map(({ batch, integer, float, ratio }) => [
      String(batch),
      (ratio as number).toFixed(2),
      (integer.imagesPerSecond / (first?.integer.imagesPerSecond as number)).toFixed(2),
      ((float?.imagesPerSecond as number) / (first?.float?.imagesPerSecond as number)).toFixed(2),
      String(integer.runs),
    ]),
  );
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(
    `\nDevice memory: ${megabytes(memory.weightBytes)} of weights and ${megabytes(memory.activationBytes)} of activations; the float path held ${megabytes(memory.floatBytes as number)}.`,
  );
}

function printLayers(title: string, groups: readonly LayerGroup[]): void {
  const percent = (share: number) => (100 * share).toFixed(1);
  printTable(
    title,
    [
      '',
      'count',
      'time, %',
      'multiply-accumulates, %',
      'their rate, of the fastest',
      'integers written, of the mean rate',
    ],
    groups.map(({ name, count, share, shareOfProducts, productRate, relativeRate }) => [
      name,
      String(count),
      percent(share),
      ...(shareOfProducts > 0 ? [percent(shareOfProducts), productRate.toFixed(2)] : ['', '']),
      relativeRate.toFixed(2),
    ]),
  );
}
