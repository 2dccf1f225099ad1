import { choice, onOff, optionalPath, requiredPath } from './flags.ts';

export const evaluateFlags = {
  images: requiredPath('<dir>', 'folder of images (.jpg .jpeg .png .webp)'),
  labels: optionalPath('<file>', 'CSV with the columns file,label (default <images>/labels.csv where it exists)'),
  recipe: optionalPath('<dir>', 'folder that quantize wrote; without it only the float model runs'),
  runtime: choice('what computes a model file: integers, float between integer products, plain TypeScript', 'integer', [
    'integer',
    'mixed',
    'reference',
  ]),
  against: optionalPath('<model>', 'float model that a model file is compared with; with --recipe its simulation too'),
  'skip-bad-images': onOff('name images that cannot be read and go on without them'),
  json: onOff('print the measures as one JSON document'),
};

export type EvaluateFlags = typeof evaluateFlags;
