import { PRESET_NAMES } from '../calibrate/options.ts';
import type { AblationRow, CalibrationOverrides } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT, UsageError } from './errors.ts';
import { choice, integer, integers, onOff, optionalPath, requiredPath } from './flags.ts';
import { loadModel } from './loadModel.ts';
import { optionFlags, optionsGiven } from './optionFlags.ts';
import { formatPercent, plural } from './text.ts';

/** What the rows of the table differ in. */
const SWITCHES = ['metric', 'softmax', 'gelu'] as const;
const OWN = ['weightBits', 'activationBits', 'seed', ...SWITCHES] as const;

const flags = {
  images: requiredPath('<dir>', 'folder of images to calibrate with'),
  eval: optionalPath(
    '<dir>',
    'folder of images to evaluate on (default: those of --images that are not calibrated with)',
  ),
  labels: optionalPath(
    '<file>',
    'CSV with the columns file,label of the evaluated images (default labels.csv beside them)',
  ),
  count: integer('images to calibrate with', 32, 1, 65_536),
  'eval-count': integer('most images to evaluate on, a seeded sample', 65_536, 1, 65_536),
  bits: integers('bits of both operands', [8, 6, 4], 2, 8),
  preset: choice('options that the switches are set in', 'default', PRESET_NAMES),
  config: optionalPath('<file>', 'JSON file with options that the switches leave, and with rules for single layers'),
  seed: integer('seed of the image samples and of the gradient draws', 0, 0, 2 ** 32 - 1),
  json: onOff('print the rows as one JSON document'),
  ...optionFlags(OWN),
};

export const ablate: Command<typeof flags> = {
  name: 'ablate',
  summary: "run the paper's ablation: Hessian-guided score and twin ranges, on and off",
  positionals: ['<model>'],
  description: [
    'Calibrates with every combination of Hessian-guided score (off: cosine), twin ranges after softmax and twin ranges',
    'after GELU, at every width of --bits, and evaluates each: table 3 of PTQ4ViT as Markdown, or as JSON.',
    'All other options are those of quantize: flags go over --config, which goes over the preset.',
  ],
  flags,
  examples: [
    'twinshift ablate models/sample --images models/sample/calib --eval models/sample/eval --bits 6,4',
    'twinshift ablate deit-tiny --images photos --count 32 --json',
  ],
  async run({ values, given, positionals }, context) {
    const { print, progress, signal } = context;
    const node = await import('../node.ts');
    const settings = values.config === undefined ? {} : await node.loadSettings(values.config);
    checkSettings(settings, values.config);
    const { seed } = values;
    const overrides: CalibrationOverrides = { ...settings, ...optionsGiven(values, given), seed };
    if (overrides.gradientSeed === 'label') {
      throw new UsageError(
        'ablate takes no labels of the images that it calibrates with; give another --gradient-seed',
      );
    }
    const folder = await node.listImageFolder(values.images);
    const evaluated = values.eval === undefined ? folder : await node.listImageFolder(values.eval);
    node.requireImages(folder, values.count);
    const { model } = await loadModel(positionals[0] as string, context);
    node.checkOptions(model.network, node.calibrationOptions(values.preset, { ...overrides, ...LEAST }));
    const labels = await node.loadLabels(evaluated, values.labels, model.network.numClasses);
    const { preprocessing } = model.config;
    const read = (done: number, total: number) => progress.report({ stage: 'reading images', done, total });
    const calibration = await node.selectImages(folder, preprocessing, {
      count: values.count,
      seed,
      onProgress: read,
      signal,
    });
    const used = new Set(values.eval === undefined ? calibration.images.map(({ file }) => file) : []);
    const rest = { ...evaluated, names: evaluated.names.filter((name) => !used.has(name)) };
    if (rest.names.length === 0) {
      throw new UsageError(
        `--images has ${plural(folder.names.length, 'image')}, all of them calibrated with; give --eval or a lower --count`,
      );
    }
    const count = Math.min(values['eval-count'], rest.names.length);
    const evaluation = await node.selectImages(rest, preprocessing, { count, seed, onProgress: read, signal });
    const { gpu, close } = await node.openNodeGpu();
    try {
      const rows = await node.ablate(
        gpu,
        model,
        {
          calibration: calibration.images,
          evaluation: evaluation.images.map(({ rgb }) => rgb),
          labels: labels && evaluation.images.map(({ file }) => labels.get(file) as number),
          preset: values.preset,
          overrides,
          bits: values.bits,
        },
        {
          onProgress: (step) => progress.report({ ...step, stage: `ablation ${step.stage}` }),
          signal,
        },
      );
      progress.clear();
      print(
        values.json
          ? `${JSON.stringify({ format: 'twinshift-ablation', version: 1, rows }, null, 2)}\n`
          : markdown(rows),
      );
      return EXIT.ok;
    } finally {
      close();
    }
  },
};

/** The first row of the table: what holds of its options holds of all. */
const LEAST = { metric: 'cosine', softmax: 'uniform', gelu: 'uniform' } as const;

/** A settings file must leave to the table what its rows differ in. */
function checkSettings(settings: CalibrationOverrides, file = ''): void {
  const inFile = OWN.filter((name) => settings[name] !== undefined);
  const inRules = SWITCHES.filter((name) => settings.layers?.some(({ options }) => options[name] !== undefined));
  const [name] = [...inFile, ...inRules];
  if (name === undefined) return;
  throw new UsageError(`--config: ablate sets ${OWN.join(', ')} itself; take ${name} out of ${file}`);
}

/** The rows as a Markdown table. */
function markdown(rows: readonly AblationRow[]): string {
  const mark = (on: boolean) => (on ? 'yes' : '-');
  const lines = rows.map(({ weightBits, activationBits, hessian, softmaxTwin, geluTwin, comparison }) => {
    const { top1, agreement, klDivergence, logitSqnrDb } = comparison;
    return [
      `W${weightBits}A${activationBits}`,
      ...[hessian, softmaxTwin, geluTwin].map(mark),
      top1 === null ? '-' : formatPercent(top1, 2),
      formatPercent(agreement, 2),
      klDivergence.toPrecision(3),
      logitSqnrDb === null ? '-' : logitSqnrDb.toFixed(2),
    ];
  });
  const header = ['bits', 'Hessian', 'softmax twin', 'GELU twin', 'top-1', 'agreement', 'KL', 'SQNR, dB'];
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
