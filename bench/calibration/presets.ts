import { CALIBRATORS, PRESET_NAMES, type PresetName } from '../../src/calibrate/options.ts';
import type { CalibrationOverrides } from '../../src/calibrate/presets.ts';
import type { Comparison } from '../../src/evaluate/compare.ts';
import { printClaims, printTable, yes } from '../support/table.ts';
import { firstSeed, isWanted, type Section } from './section.ts';
import { COMPARISON_HEADER, comparisonCells, type Trial } from './trials.ts';

const WIDTHS = [8, 6];

interface Row {
  readonly name: string;
  readonly trial: Trial;
  readonly comparison: Comparison;
  readonly seconds: number;
}

/** Every preset, and Base PTQ with ranges from the values alone, side by side on DeiT-Tiny. */
export const presetsSection: Section = async (setting) => {
  const subject = await setting.tiny();
  const seed = firstSeed(setting);
  const named: readonly { name: string; preset: PresetName; own: CalibrationOverrides }[] = [
    ...PRESET_NAMES.map((preset) => ({ name: preset, preset, own: {} })),
    ...CALIBRATORS.filter((calibrator) => calibrator !== 'search').map((calibrator) => ({
      name: `base, ${calibrator}`,
      preset: 'base' as const,
      own: { calibrator },
    })),
  ];
  let failed = 0;
  for (const bits of WIDTHS.filter((width) => isWanted(setting, width, width))) {
    const rows: Row[] = [];
    for (const { name, preset, own } of named) {
      const trial: Trial = { preset, overrides: { weightBits: bits, activationBits: bits, seed, ...own } };
      const calibrated = await setting.trials.calibrated(subject, trial);
      const comparison = await setting.trials.compared(calibrated, subject.evaluation);
      rows.push({ name, trial, comparison, seconds: calibrated.seconds });
    }
    const { calibration, evaluation } = subject;
    printTable(
      `Presets: DeiT-Tiny W${bits}A${bits}, ${calibration.images.length} calibration photos, ${evaluation.images.length} others`,
      ['', ...COMPARISON_HEADER, 'seconds'],
      rows.map((row) => [row.name, ...comparisonCells(row.comparison), row.seconds.toFixed(0)]),
    );
    failed += checkDefault(rows, bits);
  }
  return failed;
};

/** `default` against everything that the papers have; `fast` and `best` are its own relatives. */
function checkDefault(rows: readonly Row[], bits: number): number {
  const divergence = (name: string) => (rows.find((row) => row.name === name) as Row).comparison.klDivergence;
  const own = divergence('default');
  const others = rows.filter(({ name }) => !['fast', 'default', 'best'].includes(name));
  return printClaims(
    `W${bits}A${bits}: KL of default`,
    others.map(({ name, comparison: { klDivergence } }) =>
      yes(`below ${name}`, own < klDivergence, `${own.toFixed(4)} against ${klDivergence.toFixed(4)}`),
    ),
  );
}
