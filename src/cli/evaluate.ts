import type { Call, Command, Context } from './command.ts';
import { EXIT, UsageError } from './errors.ts';
import { evaluateFile } from './evaluateFile.ts';
import { evaluationSummary, type EvaluationReport } from './evaluationSummary.ts';
import { evaluateFlags, type EvaluateFlags } from './evaluateFlags.ts';
import { loadModel } from './loadModel.ts';

export const evaluate: Command<EvaluateFlags> = {
  name: 'evaluate',
  summary: 'measure a quantized model, or the float model alone, on a folder of images',
  positionals: ['<model>'],
  description: [
    'A folder as <model>, or owner/name[@revision] of the Hugging Face hub: runs the float model and, with --recipe, its quantized form (quantize-dequantize) on every image',
    'and compares them: agreement, KL divergence and logit SQNR need no labels; top-1 and top-5 do.',
    'A file as <model>: runs the model file that quantize or export wrote by --runtime, and with --against compares it.',
  ],
  flags: evaluateFlags,
  examples: [
    'twinshift evaluate models/sample --images models/sample/eval --recipe out/sample',
    'twinshift evaluate models/sample --images models/sample/eval --json',
    'twinshift evaluate out/sample/model.twinshift.safetensors --images models/sample/eval --against models/sample',
  ],
  async run(call, context) {
    const { isModelFile, isOnHub } = await import('../node.ts');
    const model = call.positionals[0] as string;
    return !(await isOnHub(model)) && (await isModelFile(model))
      ? evaluateFile(call, context)
      : evaluateModel(call, context);
  },
};

/** A float model, and its simulation under a recipe. */
async function evaluateModel({ values, given, positionals }: Call<EvaluateFlags>, context: Context): Promise<number> {
  const { print, progress, signal } = context;
  const started = performance.now();
  const node = await import('../node.ts');
  const modelName = positionals[0] as string;
  for (const name of ['runtime', 'against'] as const) {
    if (given.has(name)) {
      throw new UsageError(
        `--${name} is for a model file, ${modelName} is a float model; give a model.twinshift.safetensors`,
      );
    }
  }
  const folder = await node.listImageFolder(values.images);
  const { model } = await loadModel(modelName, context);
  const labels = await node.loadLabels(folder, values.labels, model.network.numClasses);
  const recipe = values.recipe === undefined ? undefined : await node.loadRecipeFolder(values.recipe, model, modelName);
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
}
