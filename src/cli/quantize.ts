import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { choice, integer, onOff, requiredPath } from './flags.ts';
import { runSummary, type RunReport } from './runReport.ts';

const flags = {
  images: requiredPath('<dir>', 'folder of calibration images (.jpg .jpeg .png .webp); no labels are needed'),
  out: requiredPath('<dir>', 'folder to write recipe.json and weights.safetensors to'),
  count: integer('images to calibrate with; a seeded sample when the folder has more', 32, 1, 65_536),
  'weight-bits': integer('bits of a weight, 2 to 8', 8, 2, 8),
  'activation-bits': integer('bits of an activation, 2 to 8', 8, 2, 8),
  preset: choice('how scales are searched', 'default', ['default', 'paper', 'base']),
  seed: integer('seed of the image sample and of the gradient draws', 0, 0, 2 ** 32 - 1),
  force: onOff('replace the output folder if it is not empty'),
  'skip-bad-images': onOff('name images that cannot be read and go on without them'),
  json: onOff('print the report of the run as one JSON document'),
};

export const quantize: Command<typeof flags> = {
  name: 'quantize',
  summary: 'calibrate a float model on images; write its recipe and quantized weights',
  positionals: ['<model>'],
  description: [
    'Quantizes a ViT or DeiT: <model> is a folder with config.json and model.safetensors.',
    'Presets: default (coarse-to-fine search), paper (PTQ4ViT as published: 100 candidates, 3 rounds),',
    'base (Base PTQ, for comparison: cosine metric, no twin ranges).',
    'The adapter, timings and peak memory go to <out>.run.json beside the output folder.',
  ],
  flags,
  examples: [
    'twinshift quantize models/sample --images models/sample/calib --out out/sample',
    'twinshift quantize deit-tiny --images photos --weight-bits 6 --activation-bits 6 --out out/w6a6',
  ],
  async run({ values, positionals }, { print, progress, signal }) {
    const started = performance.now();
    const node = await import('../node.ts');
    const modelFolder = positionals[0] as string;
    const options = node.calibrationOptions(values.preset, {
      weightBits: values['weight-bits'],
      activationBits: values['activation-bits'],
      seed: values.seed,
    });
    await node.checkOutputFolder(values.out, { force: values.force, inputs: [modelFolder, values.images] });
    const out = values.out.replace(/(?<=.)[\\/]+$/, ''); // its report stands beside it, not in it
    const folder = await node.listImageFolder(values.images);
    node.requireImages(folder, values.count);
    const model = await node.loadModelFolder(modelFolder);
    const { gpu, close } = await node.openNodeGpu();
    try {
      const selection = await node.selectImages(folder, model.config.preprocessing, {
        count: values.count,
        seed: values.seed,
        ...(values['skip-bad-images'] ? { onBadImage: (why) => progress.note(`twinshift: skipped: ${why}`) } : {}),
        onProgress: (done, total) => progress.report({ stage: 'reading images', done, total }),
        signal,
      });
      const result = await node.calibrate(gpu, model, selection.images, options, {
        onProgress: (step) => progress.report({ ...step, stage: `calibrating: ${step.stage}` }),
        signal,
        checkpoints: new node.CheckpointCache(),
      });
      gpu.check();
      const weights = node.quantizedWeightsFile(model, result);
      const files = new Map<string, Uint8Array | string>([
        ['recipe.json', node.recipeText(result.recipe)],
        ['weights.safetensors', weights],
      ]);
      await node.writeFolderAtomically(out, files, { force: values.force, signal });
      const { recipe, stages, candidates, peakDeviceBytes } = result;
      const seconds = (performance.now() - started) / 1000;
      const report: RunReport = {
        format: 'twinshift-run',
        version: 1,
        model: modelFolder,
        out,
        images: selection.images.length,
        ignoredFiles: folder.ignored,
        skippedImages: selection.skipped,
        preset: values.preset,
        weightBits: options.weightBits,
        activationBits: options.activationBits,
        seed: options.seed,
        layers: recipe.layers.length,
        meanWeightBits: recipe.meanWeightBits,
        meanActivationBits: recipe.meanActivationBits,
        floatWeightBytes: [...model.parameters.values()].reduce((bytes, { values }) => bytes + values.byteLength, 0),
        quantizedWeightBytes: weights.byteLength,
        candidates,
        layersAtMaxShift: recipe.layers.flatMap(({ name, a, maxShift }) =>
          maxShift !== undefined && 'shift' in a && a.shift === maxShift ? [name] : [],
        ),
        stageMs: Object.fromEntries(Object.entries(stages).map(([stage, ms]) => [stage, Math.round(ms)])),
        seconds,
        peakProcessBytes: 1024 * process.resourceUsage().maxRSS,
        peakDeviceBytes,
        adapter: gpu.adapter,
      };
      const json = `${JSON.stringify(report, null, 2)}\n`;
      await node.writeFileAtomically(`${out}.run.json`, json);
      progress.clear();
      print(values.json ? json : runSummary(report));
      return EXIT.ok;
    } finally {
      close();
    }
  },
};
