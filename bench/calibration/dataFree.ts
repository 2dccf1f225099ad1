import { syntheticImages } from '../../src/calibrate/syntheticImages.ts';
import { printTable } from '../support/table.ts';
import { note, progressLines } from './progressLines.ts';
import { firstSeed, isWanted, type Section } from './section.ts';
import { COMPARISON_HEADER, comparisonCells } from './trials.ts';

const WIDTHS = [8, 6];

/** A calibration without photos beside one on photos. */
export const dataFreeSection: Section = async (setting) => {
  const subject = await setting.tiny();
  const seed = firstSeed(setting);
  const started = performance.now();
  const control = { onProgress: progressLines('synthetic images') };
  const images = await syntheticImages(setting.gpu, subject.model, setting.count, seed, control);
  note(`${images.length} synthetic images in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const rows: string[][] = [];
  for (const bits of WIDTHS.filter((width) => isWanted(setting, width, width))) {
    const overrides = { weightBits: bits, activationBits: bits, seed };
    for (const set of [subject.calibration, { name: 'synthetic', images }]) {
      const calibrated = await setting.trials.calibrated(subject, { preset: 'default', overrides, images: set });
      const cells = comparisonCells(await setting.trials.compared(calibrated, subject.evaluation));
      const data =
        set === subject.calibration ? `${set.images.length} photos` : `none: ${images.length} synthetic images`;
      rows.push([`W${bits}A${bits} default`, data, ...cells]);
    }
  }
  const title = `Without photos: DeiT-Tiny, ${subject.evaluation.images.length} evaluation photos`;
  printTable(title, ['', 'calibration data', ...COMPARISON_HEADER], rows);
  return 0;
};
