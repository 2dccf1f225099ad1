import type { PresetName } from '../../src/calibrate/options.ts';
import type { Comparison } from '../../src/evaluate/compare.ts';
import { spreadCell, spreadOf, type Spread } from '../support/spread.ts';
import { atLeast, atMost, printClaims, printTable, type Claim } from '../support/table.ts';
import { isWanted, type Section, type Setting } from './section.ts';
import type { Subject } from './subject.ts';
import { COMPARISON_HEADER, titleOf } from './trials.ts';

/** A quantized network and what its mean over the seeds must reach. */
interface Goal {
  readonly preset: PresetName;
  readonly weightBits: number;
  readonly activationBits: number;
  /** Integer-only inference instead of the quantize-dequantize evaluation. */
  readonly integer?: true;
  /** Agreement in %, top-1 drop in points, KL in nats. */
  readonly limits: readonly [agreement: number, drop: number, divergence: number];
}

const TINY: readonly Goal[] = [
  { preset: 'default', weightBits: 8, activationBits: 8, limits: [98, 0.5, 0.004] },
  { preset: 'default', weightBits: 6, activationBits: 6, limits: [93.5, 1, 0.03] },
  { preset: 'best', weightBits: 4, activationBits: 4, limits: [74, 11, 0.5] },
  { preset: 'best', weightBits: 4, activationBits: 8, limits: [90, 2.5, 0.075] },
];

const HARD: readonly Goal[] = [
  { preset: 'default', weightBits: 8, activationBits: 8, limits: [96, 1, 0.02] },
  { preset: 'default', weightBits: 6, activationBits: 6, limits: [87, 4, 0.15] },
  { preset: 'best', weightBits: 4, activationBits: 8, limits: [85, 5, 0.18] },
  { preset: 'default', weightBits: 8, activationBits: 8, integer: true, limits: [94, 1.5, 0.035] },
];

/** DeiT-Tiny at the widths of the claims, each with every seed. */
export const accuracySection: Section = async (setting) => checkGoals(setting, await setting.tiny(), TINY);

/** The same of a model with massive outliers, simulated and in integers only. */
export const outliersSection: Section = async (setting) => checkGoals(setting, await setting.hard(), HARD);

async function checkGoals(setting: Setting, subject: Subject, goals: readonly Goal[]): Promise<number> {
  const rows: string[][] = [];
  const claims: Claim[] = [];
  const asked = goals.filter((goal) => isWanted(setting, goal.weightBits, goal.activationBits));
  for (const goal of asked) {
    const { comparisons, seconds } = await overSeeds(setting, subject, goal);
    const [agreement, drop, divergence] = [
      spreadOf(comparisons.map((c) => 100 * c.agreement)),
      spreadOf(comparisons.map((c) => c.topOneDropPoints as number)),
      spreadOf(comparisons.map((c) => c.klDivergence)),
    ];
    const title = titleOf({ preset: goal.preset, overrides: goal }).split(',')[0] as string;
    const name = goal.integer ? `${title}, integers only` : title;
    const cells = [spreadCell(agreement, 2), spreadCell(drop, 2), spreadCell(divergence, 4)];
    rows.push([name, ...cells, spreadCell(seconds, 0)]);
    claims.push(
      atLeast(`${name}: agreement, %`, agreement.mean, goal.limits[0]),
      atMost(`${name}: top-1 drop, points`, drop.mean, goal.limits[1]),
      atMost(`${name}: KL, nats`, divergence.mean, goal.limits[2], 4),
    );
  }
  const { calibration, evaluation, name } = subject;
  const seeds = `mean (least ... most) of seeds ${setting.seeds.join(', ')}`;
  const photos = `${calibration.images.length} calibration photos, ${evaluation.images.length} others`;
  printTable(`${name}, ${photos}, ${seeds}`, ['', ...COMPARISON_HEADER, 'seconds'], rows);
  return printClaims(`${name}: accuracy`, claims);
}

async function overSeeds(
  { trials, seeds }: Setting,
  subject: Subject,
  { preset, weightBits, activationBits, integer }: Goal,
): Promise<{ comparisons: Comparison[]; seconds: Spread }> {
  const comparisons: Comparison[] = [];
  const seconds: number[] = [];
  for (const seed of seeds) {
    const calibrated = await trials.calibrated(subject, { preset, overrides: { weightBits, activationBits, seed } });
    const compare = integer ? trials.comparedInteger : trials.compared;
    comparisons.push(await compare(calibrated, subject.evaluation));
    seconds.push(calibrated.seconds);
  }
  return { comparisons, seconds: spreadOf(seconds) };
}
