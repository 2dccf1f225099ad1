import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { evaluationSummary, type EvaluationReport } from './evaluationSummary.ts';
import { onOff, optionalPath, requiredPath } from './flags.ts';

const flags = {
  images: requiredPath('<dir>', 'folder of images (.jpg .jpeg .png .webp)'),
  labels: optionalPath('<file>', 'CSV with the columns file,label (default <images>/labels.csv where it exists)'),
  recipe: optionalPath('<dir>', 'folder that quantize wrote; without it only the float model runs'),
  'skip-bad-images': onOff('name images that cannot be read and go on without them'),
  json: onOff('print the measures as one JSON document'),
};

export const evaluate: Command<typeof flags> = {
  name: 'evaluate',
  summary: 'measure a quantized model, or the float model alone, on a folder of images',
  positionals: ['<model>'],
  description: [
    'Runs the float model and, with --recipe, its quantized form (quantize-dequantize) on every image of the folder and',
    'compares them: agreement, KL divergence and logit SQNR need no labels; top-1 and top-5 do.',
  ],
  flags,
  examples: [
    'twinshift evaluate models/sample --images models/sample/eval --recipe out/sample',
    'twinshift evaluate models/sample --images models/sample/eval --json',
  ],
  async run({ values, positionals }, { print, progress, signal }) {
    const started = performance.now();
    const node = await import('../node.ts');
    const modelFolder = positionals[0] as string;
    const folder = await node.listImageFolder(values.images);
    const model = await node.loadModelFolder(modelFolder);
    const labels = await node.loadLabels(folder, values.labels, model.network.numClasses);
    const recipe =
      values.recipe === undefined ? undefined : await node.loadRecipeFolder(values.recipe, model, modelFolder);
    const { gpu, close } = await node.openNodeGpu();
    try {
      const comparison = await node.evaluateFolder(gpu, model, folder, {
        labels,
        ...(recipe ? { recipe } : {}),
        ...(values['skip-bad-images'] ? { onBadImage: (why) => progress.note(`twinshift: skipped: ${why}`) } : {}),
        onProgress: (done, total) => progress.report({ stage: 'evaluating', done, total }),
        signal,
      });
      const report: EvaluationReport = {
        ...comparison,
        meanWeightBits: recipe?.recipe.meanWeightBits ?? 32,
        meanActivationBits: recipe?.recipe.meanActivationBits ?? 32,
        seconds: (performance.now() - started) / 1000,
        adapter: gpu.adapter,
      };
      progress.clear();
      print(values.json ? `${JSON.stringify(report, null, 2)}\n` : evaluationSummary(report, recipe !== undefined));
      return EXIT.ok;
    } finally {
      close();
    }
  },
};
