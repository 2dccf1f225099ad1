import type { DiffData } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { onOff, optionalPath } from './flags.ts';
import { plural, table } from './text.ts';

const flags = {
  out: optionalPath('<file>', 'HTML file to write'),
  force: onOff('replace the file if it exists'),
  json: onOff('print the differences as one JSON document'),
};

export const diff: Command<typeof flags> = {
  name: 'diff',
  summary: 'compare two recipes: options, and the scales, bits and scores of every layer',
  positionals: ['<recipe>', '<recipe>'],
  description: [
    'Reads recipe.json of two folders that quantize wrote, and the .run.json beside each where it is there. Ratios are the second',
    'over the first: a score below 1 is better. With --out both stand side by side in one HTML file.',
  ],
  flags,
  examples: ['twinshift diff out/w8a8 out/w6a6', 'twinshift diff out/twin out/uniform --out diff.html'],
  async run({ values, positionals }, { print, progress, signal }) {
    const node = await import('../node.ts');
    const [first, second] = positionals as [string, string];
    const { out, force } = values;
    if (out !== undefined) {
      const inputs = [first, second].flatMap((folder) => [folder, node.runFileOf(folder)]);
      await node.checkOutputFile(out, { force, inputs });
    }
    const data = node.compareRecipes(await node.loadRecipeView(first), await node.loadRecipeView(second));
    if (out !== undefined) {
      const html = await node.reportHtml(data, await node.reportScript());
      signal.throwIfAborted();
      await node.writeFileAtomically(out, html);
    }
    progress.clear();
    print(values.json ? `${JSON.stringify(diffDocument(data, positionals), null, 2)}\n` : diffText(data));
    return EXIT.ok;
  },
};

/** Without the histograms and curves of both runs. */
function diffDocument({ sameWeights, options, layers }: DiffData, [first, second]: readonly string[]) {
  const changes = layers.map(({ name, a, b, ...change }) => {
    const operands = (layer: typeof a) => layer && { a: layer.a, b: layer.b, score: layer.score };
    return { name, ...change, first: operands(a), second: operands(b) };
  });
  return { format: 'twinshift-diff', version: 1, first, second, sameWeights, options, layers: changes };
}

function diffText({ sameWeights, options, layers }: DiffData): string {
  const changed = layers.filter(({ same }) => !same);
  const ratio = (value: number | null) => (value === null ? '' : value.toPrecision(4));
  const bits = (a: { quantizer: { bits: number } } | undefined, b: typeof a) =>
    a?.quantizer.bits === b?.quantizer.bits
      ? String(a?.quantizer.bits ?? '')
      : `${a?.quantizer.bits ?? '-'} to ${b?.quantizer.bits ?? '-'}`;
  const rows = changed.map(({ name, a, b, scoreRatio, scaleRatioA, scaleRatioB, shiftChange, sqnrGainDb }) => [
    name,
    ratio(scoreRatio),
    sqnrGainDb === null ? '' : sqnrGainDb.toFixed(2),
    ratio(scaleRatioA),
    ratio(scaleRatioB),
    shiftChange === null ? '' : String(shiftChange),
    bits(a?.a, b?.a),
    bits(a?.b, b?.b),
  ]);
  const header = ['layer', 'score', 'SQNR dB', 'scale a', 'scale b', 'shift', 'bits a', 'bits b'];
  const legend = 'score and scales: second over first, a score below 1 is better; SQNR and shift: second less first';
  const right = header.map((_, i) => (i === 0 ? ('left' as const) : ('right' as const)));
  return `${[
    ...(sameWeights ? [] : ['the recipes are of different weights: scales and scores do not compare']),
    `${plural(options.length, 'option')} and ${changed.length} of ${plural(layers.length, 'layer')} differ`,
    ...table(options.map((option) => [`  ${option.name}`, option.first, option.second])),
    ...(changed.length > 0 ? [...table([header, ...rows], right), legend] : []),
  ].join('\n')}\n`;
}
