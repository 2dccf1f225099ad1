import type { AdapterDescription, ClassifiedFile } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { choice, integer, onOff } from './flags.ts';
import { openRunner } from './openRunner.ts';
import { adapterText } from './runReport.ts';
import { formatDuration, formatPercent, plural, table } from './text.ts';

const flags = {
  top: integer('classes to name, the most probable first', 5, 1, 100_000),
  adapter: choice('what computes; none is the plain TypeScript engine: the same integers, slowly', 'auto', [
    'auto',
    'none',
  ]),
  json: onOff('print logits and classes as one JSON document'),
};

/** What `classify --json` prints. */
interface ClassifyReport {
  /** Null with `--adapter none`. */
  readonly adapter: AdapterDescription | null;
  /** Of the whole run. */
  readonly seconds: number;
  /** In the order of the command line. */
  readonly results: readonly ClassifiedFile[];
}

export const classify: Command<typeof flags> = {
  name: 'classify',
  summary: 'name the classes of images with a model file, in integers only',
  positionals: ['<model-file>', '<image...>'],
  description: [
    '<model-file> is what quantize or export wrote; <image...> are one or more image files (JPEG, PNG, WebP).',
    'Every adapter, and none, gives the same logits, bit for bit.',
  ],
  flags,
  examples: [
    'twinshift classify out/sample/model.twinshift.safetensors models/sample/eval/000_circle.png',
    'twinshift classify sample.twinshift.safetensors photo.jpg --top 3 --json',
  ],
  async run({ values, positionals }, { print, progress, signal }) {
    const started = performance.now();
    const node = await import('../node.ts');
    const [path = '', ...names] = positionals;
    const file = await node.loadModelFile(path);
    const images = await node.readImages(file, names, {
      onProgress: (done, total) => progress.report({ stage: 'reading images', done, total }),
      signal,
    });
    const { runner, gpu, close } = await openRunner(
      file,
      {
        runtime: values.adapter === 'none' ? 'reference' : 'integer',
        needsAdapter: false,
        withoutAdapter: '--adapter none',
      },
      progress,
    );
    try {
      const results = await node.classifyFiles(file, runner, names, images, {
        top: values.top,
        onProgress: (done, total) => progress.report({ stage: 'classifying', done, total }),
        signal,
      });
      gpu?.check();
      const seconds = (performance.now() - started) / 1000;
      const report: ClassifyReport = { adapter: gpu?.adapter ?? null, seconds, results };
      progress.clear();
      print(values.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report));
      return EXIT.ok;
    } finally {
      close();
    }
  },
};

function summary({ adapter, seconds, results }: ClassifyReport): string {
  const rows = results.map(({ file, top }) => {
    const classes = top.map(({ label, index, probability }) => [
      formatPercent(probability),
      label === String(index) ? `class ${index}` : label,
    ]);
    return `${file}\n${table(classes, ['right'])
      .map((line) => `  ${line}\n`)
      .join('')}`;
  });
  const where = adapter ? adapterText(adapter) : 'no adapter, plain TypeScript';
  return `${rows.join('\n')}\n${plural(results.length, 'image')} in ${formatDuration(1000 * seconds)}, ${where}\n`;
}
