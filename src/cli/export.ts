import type { NonlinearCounts } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { choice, onOff, requiredPath } from './flags.ts';
import { nonlinearFlag } from './nonlinearFlag.ts';
import { formatBytes, plural, table } from './text.ts';
import { version } from './version.ts';

const flags = {
  out: requiredPath('<file>', 'file to write, such as model.twinshift.safetensors'),
  format: choice('format of the file', 'twinshift', ['twinshift']),
  nonlinear: nonlinearFlag(),
  force: onOff('replace the file if it exists'),
  json: onOff('print what was written as one JSON document'),
};

/** What `export --json` prints. */
interface ExportReport {
  /** Paths as they were given. */
  readonly recipe: string;
  readonly out: string;
  readonly bytes: number;
  /** All parameters as f32. */
  readonly floatWeightBytes: number;
  /** How many layers of each kind take each method. */
  readonly nonlinear: NonlinearCounts;
}

export const exportCommand: Command<typeof flags> = {
  name: 'export',
  summary: 'turn a recipe into one file for inference in integers',
  positionals: ['<recipe>'],
  description: [
    'Reads recipe.json and weights.safetensors of a folder that quantize wrote; neither the float model nor a GPU is needed.',
    'The file holds all that inference in integers needs. quantize writes the same file into its folder.',
  ],
  flags,
  examples: [
    'twinshift export out/sample --out sample.twinshift.safetensors',
    'twinshift export out/sample --nonlinear softmax=lut,gelu=shift-fixed --out mixed.twinshift.safetensors',
  ],
  async run({ values, positionals }, { print, progress, signal }) {
    const node = await import('../node.ts');
    const recipeFolder = positionals[0] as string;
    const { out, nonlinear, force } = values;
    await node.checkOutputFile(out, { force, inputs: [recipeFolder, ...node.recipePaths(recipeFolder)] });
    const files = await node.loadRecipeFiles(recipeFolder);
    progress.report({ stage: 'exporting', done: 0, total: 1 });
    const { bytes, model } = await node.exportRecipe(files, nonlinear, `twinshift ${version}`);
    signal.throwIfAborted();
    await node.writeFileAtomically(out, bytes);
    const report: ExportReport = {
      recipe: recipeFolder,
      out,
      bytes: bytes.byteLength,
      floatWeightBytes: node.floatWeightBytes(files),
      nonlinear: node.nonlinearMethods(model),
    };
    progress.clear();
    print(values.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report));
    return EXIT.ok;
  },
};

function summary({ out, bytes, floatWeightBytes, nonlinear }: ExportReport): string {
  const share = ((100 * bytes) / floatWeightBytes).toFixed(1);
  const rows = [
    ['written', out],
    ['size', `${formatBytes(bytes)}, ${share} % of ${formatBytes(floatWeightBytes)} as f32`],
    ...Object.entries(nonlinear).map(([kind, methods]) => [kind, methodText(methods)]),
  ];
  return `${table(rows).join('\n')}\n`;
}

function methodText(methods: Readonly<Record<string, number>>): string {
  return Object.entries(methods)
    .map(([method, layers]) => `${method} in ${plural(layers, 'layer')}`)
    .join(', ');
}
