import type { FinishedRun } from './quantize.ts';

/** The run as `quantize --report` leaves it beside a recipe: `<recipe>.run.json`. A browser does not tell the memory of its process. */
export function runFile(run: FinishedRun): string {
  const { recipe, record, stages, candidates, peakDeviceBytes, skipped, model, weights, modelFile } = run;
  const { options, layers } = recipe;
  const content = {
    ...{ format: 'twinshift-run', version: 2 },
    ...{ model: record.model.name, modelCommit: null, out: 'recipe' },
    images: recipe.images.length,
    ...{ ignoredFiles: 0, syntheticImages: false, skippedImages: skipped, warnings: [] },
    preset: options.preset,
    ...{ weightBits: options.weightBits, activationBits: options.activationBits, seed: options.seed },
    layers: layers.length,
    ...{ meanWeightBits: recipe.meanWeightBits, meanActivationBits: recipe.meanActivationBits },
    floatWeightBytes: [...model.parameters.values()].reduce((bytes, { values }) => bytes + values.byteLength, 0),
    quantizedWeightBytes: weights.byteLength,
    modelFileBytes: modelFile.byteLength,
    candidates,
    layersAtMaxShift: layers.flatMap(({ name, a, maxShift }) =>
      maxShift !== undefined && 'shift' in a && a.shift === maxShift ? [name] : [],
    ),
    stageMs: Object.fromEntries(Object.entries(stages).map(([stage, ms]) => [stage, Math.round(ms)])),
    seconds: record.quantizeMs / 1000,
    ...{ peakProcessBytes: null, peakDeviceBytes, mixedPrecision: null, adapter: record.adapter },
    layerReports: record.layers.map(({ report }) => report),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}
