import type { CurveMeasure, LayerCurve } from '../index.ts';
import type { Command } from './command.ts';
import { EXIT, UsageError } from './errors.ts';
import { choice, integer, onOff, optionalPath, requiredPath, show } from './flags.ts';
import { loadModel } from './loadModel.ts';
import { nearest } from './nearest.ts';
import { plural, table } from './text.ts';

const flags = {
  layer: requiredPath('<name>', 'layer, such as blocks.0.mlp.fc1; inspect lists them'),
  images: requiredPath('<dir>', 'folder of images (.jpg .jpeg .png .webp)'),
  labels: optionalPath('<file>', 'CSV with the columns file,label (default <images>/labels.csv where it exists)'),
  operand: choice('which operand varies: a, the activation, or b, the weight or right activation', 'a', ['a', 'b']),
  uniform: onOff('uniform codes after softmax and GELU, in the place of twin ranges'),
  bits: integer('bits of that operand; the other one has 8', 6, 2, 8),
  candidates: integer('candidate scales, up to 1.2 times the one that holds the largest value', 40, 1, 1000),
  count: integer('images to run; a seeded sample when the folder has more', 8, 1, 65_536),
  seed: integer('seed of the image sample and of the gradient draws', 0, 0, 2 ** 32 - 1),
  json: onOff('print the curves as one JSON document'),
};

export const curve: Command<typeof flags> = {
  name: 'curve',
  summary: 'compare what every metric says of the scales of one layer with what they do to the logits',
  positionals: ['<model>'],
  description: [
    'Scores the candidate scales of one operand of one layer by every metric, and runs the rest of the network again in float',
    'for each: KL divergence and cross-entropy of the logits (figure 5 of PTQ4ViT). A * marks the lowest value of a column.',
  ],
  flags,
  examples: [
    'twinshift curve models/sample --layer blocks.0.mlp.fc1 --images models/sample/calib',
    'twinshift curve deit-tiny --layer blocks.6.mlp.fc2 --images photos --bits 4 --json',
  ],
  async run({ values, positionals }, context) {
    const { print, progress, signal } = context;
    const started = performance.now();
    const node = await import('../node.ts');
    const folder = await node.listImageFolder(values.images);
    node.requireImages(folder, values.count);
    const { model } = await loadModel(positionals[0] as string, context);
    const { layer, operand, uniform, bits, candidates, seed } = values;
    const layers = node.curveLayers(model);
    if (!layers.includes(layer)) {
      const meant = nearest(layer, layers);
      throw new UsageError(
        `--layer: the model has no layer ${show(layer)}; ${meant ? `did you mean ${meant}?` : 'inspect lists its layers'}`,
      );
    }
    if (!node.curveOperands(model, layer).includes(operand)) {
      throw new UsageError(`${layer}: its operand a is pixels, which are exact; give --operand b`);
    }
    const labels = await node.loadLabels(folder, values.labels, model.network.numClasses);
    const selection = await node.selectImages(folder, model.config.preprocessing, {
      count: values.count,
      seed,
      onProgress: (done, total) => progress.report({ stage: 'reading images', done, total }),
      signal,
    });
    const { gpu, close } = await node.openNodeGpu();
    try {
      const result = await node.layerCurve(
        gpu,
        model,
        selection.images,
        labels && selection.images.map(({ file }) => labels.get(file) as number),
        { layer, operand, twin: !uniform, bits, candidates, seed },
        { onProgress: (step) => progress.report({ ...step, stage: `curve: ${step.stage}` }), signal },
      );
      const head = {
        format: 'twinshift-curve',
        version: 1,
        model: positionals[0],
        layer,
        operand,
        uniform,
        bits,
        seed,
      };
      const seconds = (performance.now() - started) / 1000;
      progress.clear();
      print(
        values.json
          ? `${JSON.stringify({ ...head, ...result, seconds, adapter: gpu.adapter }, null, 2)}\n`
          : curveText(`${layer}, operand ${operand} at ${bits} bits (${result.quantizer})`, result),
      );
      return EXIT.ok;
    } finally {
      close();
    }
  },
};

const COLUMNS: readonly (readonly [CurveMeasure, string])[] = [
  ['hessian', 'hessian'],
  ['mse', 'mse'],
  ['l1', 'l1'],
  ['linear-weighted-mse', 'linear'],
  ['square-weighted-mse', 'square'],
  ['cosine', 'cosine'],
  ['pearson', 'pearson'],
  ['klDivergence', 'KL'],
  ['crossEntropy', 'CE'],
];

/** A line a candidate, a column a measure. */
function curveText(title: string, { images, crossEntropyAgainst, candidates, curves, minima }: LayerCurve): string {
  const rows = candidates.map(({ factor, shift }, i) => [
    factor === null ? `shift ${shift}` : factor.toFixed(3),
    ...COLUMNS.map(([name]) => `${(curves[name][i] as number).toExponential(2)}${minima[name] === i ? '*' : ' '}`),
  ]);
  const header = ['scale', ...COLUMNS.map(([, word]) => `${word} `)];
  const lines = table([header, ...rows], ['left', ...COLUMNS.map(() => 'right' as const)]);
  const against = crossEntropyAgainst === 'labels' ? 'the labels' : 'the first class of the float model';
  return `${[`${title}, ${plural(images, 'image')}, CE against ${against}`, ...lines].join('\n')}\n`;
}
