import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { onOff, optionalPath, requiredPath } from './flags.ts';
import { formatBytes } from './text.ts';

const flags = {
  out: requiredPath('<file>', 'HTML file to write'),
  run: optionalPath('<file>', 'report of the run (default <recipe>.run.json, where it is there)'),
  evaluation: optionalPath('<file>', 'what evaluate --json printed for the recipe or its model file'),
  force: onOff('replace the file if it exists'),
  json: onOff('print what was written as one JSON document'),
};

export const report: Command<typeof flags> = {
  name: 'report',
  summary: 'draw a recipe and its run as one HTML file',
  positionals: ['<recipe>'],
  description: [
    'Reads recipe.json of a folder that quantize wrote, and <recipe>.run.json beside it. The file needs nothing else and requests',
    'nothing: summary, layers sorted by damage, histograms with quantization points, score curves, times.',
    'Figures of single layers are there when quantize ran with --report.',
  ],
  flags,
  examples: [
    'twinshift report out/sample --out sample.html',
    'twinshift report out/sample --evaluation evaluation.json --out sample.html',
  ],
  async run({ values, positionals }, { print, progress, signal }) {
    const node = await import('../node.ts');
    const folder = positionals[0] as string;
    const { out, run, evaluation, force } = values;
    const given = [run, evaluation].filter((file) => file !== undefined);
    const inputs = [folder, node.runFileOf(folder), ...node.recipePaths(folder), ...given];
    await node.checkOutputFile(out, { force, inputs });
    const recipe = await node.loadRecipeView(folder, run);
    const data = {
      ...({ kind: 'report', recipe } as const),
      evaluation: evaluation === undefined ? null : await node.loadEvaluation(evaluation),
    };
    const html = await node.reportHtml(data, await node.reportScript());
    signal.throwIfAborted();
    await node.writeFileAtomically(out, html);
    const bytes = Buffer.byteLength(html);
    const layers = recipe.layers.length;
    const reported = recipe.layers.filter((layer) => layer.report !== null).length;
    progress.clear();
    print(
      values.json
        ? `${JSON.stringify({ recipe: folder, out, bytes, layers, reportedLayers: reported }, null, 2)}\n`
        : `${out}: ${formatBytes(bytes)}, ${layers} layers, ${reported} of them with figures\n`,
    );
    return EXIT.ok;
  },
};
