import { benchSummary, type BenchReport } from './benchSummary.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { integer, integers, onOff, optionalPath } from './flags.ts';
import { loadModel } from './loadModel.ts';

const flags = {
  batch: integers('batch sizes to time, 1 to 64', [1, 8, 32], 1, 64),
  against: optionalPath('<model>', 'folder of the float model, timed in turns with the model file'),
  seconds: integer('time to measure each batch size for; three runs are the least', 5, 1, 3600),
  json: onOff('print the measures as one JSON document'),
};

export const bench: Command<typeof flags> = {
  name: 'bench',
  summary: 'time a model file on this adapter, beside the float model and layer by layer',
  positionals: ['<model-file>'],
  description: [
    'Runs seeded random pixels: images per second from pixels to logits, median of warm runs, and the time of each layer',
    'where the adapter has timestamps. With --against the float model takes its turn after every run.',
  ],
  flags,
  examples: [
    'twinshift bench out/sample/model.twinshift.safetensors --against models/sample',
    'twinshift bench sample.twinshift.safetensors --batch 1,64 --seconds 20 --json',
  ],
  async run({ values, positionals }, context) {
    const { print, progress, signal } = context;
    const started = performance.now();
    const node = await import('../node.ts');
    const path = positionals[0] as string;
    const file = await node.loadModelFile(path);
    const against = values.against === undefined ? undefined : (await loadModel(values.against, context)).model;
    if (against && values.against !== undefined) await node.checkOriginal(file, against, values.against);
    const { gpu, close } = await node.openNodeGpu({ exactTimestamps: true });
    try {
      const result = await node.benchModelFile(gpu, file, {
        batches: values.batch,
        seconds: values.seconds,
        ...(against ? { against } : {}),
        onProgress: (stage, done, total) => progress.report({ stage: `timing ${stage}`, done, total }),
        signal,
      });
      const report: BenchReport = {
        model: path,
        against: values.against ?? null,
        ...result,
        modelFileBytes: file.byteLength,
        floatWeightBytes: against ? node.parameterBytes(against) : null,
        seconds: (performance.now() - started) / 1000,
        adapter: gpu.adapter,
      };
      progress.clear();
      print(values.json ? `${JSON.stringify(report, null, 2)}\n` : benchSummary(report));
      return EXIT.ok;
    } finally {
      close();
    }
  },
};
