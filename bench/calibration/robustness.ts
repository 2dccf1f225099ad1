import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { imageWarnings, rangeShift } from '../../src/calibrate/imageWarnings.ts';
import { sampleOrder } from '../../src/node/sampleNames.ts';
import { spreadOf } from '../support/spread.ts';
import { atLeast, atMost, printClaims, printTable, yes, type Claim } from '../support/table.ts';
import { unlikePhotographs, UNLIKE_PHOTOGRAPHS } from '../support/unlikePhotographs.ts';
import { firstSeed, type Section, type Setting } from './section.ts';
import { chosenOf, type EvaluationSet, type Subject } from './subject.ts';
import { COMPARISON_HEADER, comparisonCells, type Calibrated } from './trials.ts';

const BITS = 6;
const DRAWS = 5;
/** Seed of the order in which photos are drawn. */
const DRAW_SEED = 0;
/** What Base PTQ reaches on photographs at this width; below it a calibration counts as broken. */
const BROKEN_BELOW = 80;

/** `default` at six bits on other images: draws, numbers of images, images that are no photographs. */
export const robustnessSection: Section = async (setting) => {
  const subject = await setting.tiny();
  const { order, evaluation } = poolOf(subject, DRAWS * setting.count);
  const calibrated = (name: string, images: readonly CalibrationImage[]) =>
    setting.trials.calibrated(subject, {
      preset: 'default',
      overrides: { weightBits: BITS, activationBits: BITS, seed: firstSeed(setting) },
      images: { name, images },
    });
  let failed = 0;

  const draws: { readonly name: string; readonly done: Calibrated; readonly agreement: number; cells: string[] }[] = [];
  for (let draw = 0; draw < DRAWS; draw++) {
    const name = `draw ${draw + 1}`;
    const done = await calibrated(name, order.slice(draw * setting.count, (draw + 1) * setting.count));
    const comparison = await setting.trials.compared(done, evaluation);
    draws.push({ name, done, agreement: 100 * comparison.agreement, cells: comparisonCells(comparison) });
  }
  const others = `DeiT-Tiny W${BITS}A${BITS}, ${evaluation.images.length} other photos`;
  printTable(
    `Draws of ${setting.count} photos without one in common: ${others}`,
    ['', ...COMPARISON_HEADER],
    draws.map(({ name, cells }) => [name, ...cells]),
  );
  const { deviation } = spreadOf(draws.map(({ agreement }) => agreement));
  failed += printClaims('Draws', [atMost('standard deviation of agreement, points', deviation, 1)]);

  const sizes: string[][] = [];
  for (const count of [0.25, 0.5, 1, 2, 4].map((share) => Math.max(1, Math.round(share * setting.count)))) {
    const done = await calibrated(
      count === setting.count ? 'draw 1' : `the first ${count} drawn`,
      order.slice(0, count),
    );
    const cells = comparisonCells(await setting.trials.compared(done, evaluation));
    sizes.push([String(count), ...cells, done.seconds.toFixed(0)]);
  }
  printTable(`Numbers of calibration photos: ${others}`, ['images', ...COMPARISON_HEADER, 'seconds'], sizes);

  const photos = { images: order.slice(0, setting.count), done: (draws[0] as (typeof draws)[0]).done };
  return failed + (await checkUnlike(setting, subject, evaluation, photos, calibrated));
};

/**
 * Calibrates on images that are no photographs, which must bring a warning and no ruin, and shows such images to a calibration on
 * photographs.
 */
async function checkUnlike(
  { gpu, trials, count }: Setting,
  { model }: Subject,
  evaluation: EvaluationSet,
  photos: { readonly images: readonly CalibrationImage[]; readonly done: Calibrated },
  calibrated: (name: string, images: readonly CalibrationImage[]) => Promise<Calibrated>,
): Promise<number> {
  const rows: string[][] = [];
  const warningsOf = ({ recipe }: Calibrated, images: readonly CalibrationImage[]) =>
    imageWarnings(gpu, model, images, recipe.integer.ranges);
  const unwanted = await warningsOf(photos.done, photos.images);
  const claims: Claim[] = [yes('no warning for photos', unwanted.length === 0, unwanted.join('; ') || 'none')];
  for (const kind of UNLIKE_PHOTOGRAPHS) {
    const images = await unlikePhotographs(kind, count, model.config.imageSize);
    const onKind = await calibrated(kind, images);
    const comparison = await trials.compared(onKind, evaluation);
    const { median, largest, name } = rangeShift(onKind.recipe.integer.ranges, photos.done.recipe.integer.ranges);
    const shift = `${median.toFixed(2)}, ${largest.toFixed(1)} at ${name}`;
    rows.push([kind, 'photos', ...comparisonCells(comparison), shift]);
    const shown = await trials.withFloat(model, { name: kind, images });
    rows.push(['photos', kind, ...comparisonCells(await trials.compared(photos.done, shown)), 'none']);
    const warnings = await warningsOf(onKind, images);
    claims.push(
      yes(`a warning for ${kind}`, warnings.length > 0, warnings.join('; ') || 'none'),
      atLeast(`calibrated on ${kind}: agreement on photos, %`, 100 * comparison.agreement, BROKEN_BELOW),
    );
  }
  printTable(
    `Images that are no photographs: DeiT-Tiny W${BITS}A${BITS}, ${count} images of each kind`,
    ['calibrated on', 'evaluated on', ...COMPARISON_HEADER, 'ranges against those of photos, factor: median, largest'],
    rows,
  );
  return printClaims('Images that are no photographs', claims);
}

/**
 * Photos to draw from, in the order they are drawn: those of the calibration and as many of the evaluation as are wanting, at
 * even distances, which are then not evaluated on.
 */
function poolOf({ calibration, evaluation }: Subject, size: number) {
  const { length } = evaluation.images;
  const wanting = Math.max(0, size - calibration.images.length);
  if (wanting >= length) throw new RangeError(`${size} photos to draw from leave none to evaluate on`);
  const taken = new Set(Array.from({ length: wanting }, (_, i) => Math.floor((i * length) / wanting)));
  const rows = evaluation.images.map((_image, i) => i);
  const drawn = chosenOf(
    evaluation,
    rows.filter((i) => taken.has(i)),
    'drawn',
  );
  const rest = rows.filter((i) => !taken.has(i));
  const photos = new Map<string, CalibrationImage>(
    [calibration, drawn].flatMap((set) => set.images.map((image) => [`${set.name}/${image.file}`, image] as const)),
  );
  const order = sampleOrder([...photos.keys()], DRAW_SEED).map((name) => photos.get(name) as CalibrationImage);
  return { order, evaluation: chosenOf(evaluation, rest, `${rest.length} photos never drawn`) };
}
