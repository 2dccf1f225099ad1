import { measureIntegerPeak, type IntegerPeak } from '../support/integerPeak.ts';
import { atLeast, atMost, printClaims, printTable } from '../support/table.ts';
import { note } from './progressLines.ts';
import { firstSeed, type Section } from './section.ts';
import type { Calibrated } from './trials.ts';

/** What the published code takes for the same job on such a machine without other load, by its times a layer. */
const PUBLISHED_SECONDS = 28 * 60;
const TIMES_PAPER = 10;

/** Time of `paper` and `default` on DeiT-Tiny, stage by stage, and how near the search comes to the adapter's integer products. */
export const speedSection: Section = async (setting) => {
  note('measuring the integer products');
  const peak = measureIntegerPeak();
  const subject = await setting.tiny();
  const overrides = { weightBits: 8, activationBits: 8, seed: firstSeed(setting) };
  const fast = await setting.trials.calibrated(subject, { preset: 'default', overrides });
  const paper = await setting.trials.calibrated(subject, { preset: 'paper', overrides });
  const { calibration } = subject;
  const title = `DeiT-Tiny W8A8, ${calibration.images.length} photos, ${setting.gpu.adapter.description}`;
  printTable(`Search: ${title}`, ['', 'default', 'paper'], searchRows([fast, paper], peak));
  const stages = [...new Set([paper, fast].flatMap((done) => Object.keys(done.stages)))];
  printTable(
    `Stages: ${title}`,
    ['stage', 'default, s', 'share, %', 'paper, s', 'share, %'],
    stages.map((stage) => [stage, ...stageCells(fast, stage), ...stageCells(paper, stage)]),
  );
  return printClaims('Speed', [
    atMost('paper, s', paper.seconds, PUBLISHED_SECONDS, 0),
    atLeast('seconds of paper over those of default', paper.seconds / fast.seconds, TIMES_PAPER),
  ]);
};

function stageCells({ stages, seconds }: Calibrated, stage: string): string[] {
  const spent = (stages[stage] ?? 0) / 1000;
  return [spent.toFixed(1), ((100 * spent) / seconds).toFixed(1)];
}

function searchRows(runs: readonly Calibrated[], peak: IntegerPeak): string[][] {
  const searchSeconds = ({ stages }: Calibrated) =>
    Object.entries(stages).reduce((sum, [stage, ms]) => sum + (stage.startsWith('search') ? ms / 1000 : 0), 0);
  const rate = (run: Calibrated) => run.candidateMacs / searchSeconds(run) / 1e9;
  const row = (name: string, cell: (run: Calibrated) => string) => [name, ...runs.map(cell)];
  return [
    row('seconds in all', ({ seconds }) => seconds.toFixed(1)),
    row('seconds of search', (run) => searchSeconds(run).toFixed(1)),
    row('candidates scored', ({ candidates }) => candidates.toFixed(0)),
    row('candidates a second of search', (run) => (run.candidates / searchSeconds(run)).toFixed(1)),
    row('10^12 multiply-accumulates on candidates', ({ candidateMacs }) => (candidateMacs / 1e12).toFixed(3)),
    row('10^9 multiply-accumulates a second of search', (run) => rate(run).toFixed(2)),
    row(
      `share of the fastest integer product (${peak.gigaMacsPerSecond.toFixed(1)}, ${peak.kernel} at ${peak.layer}), %`,
      (run) => ((100 * rate(run)) / peak.gigaMacsPerSecond).toFixed(1),
    ),
    row('most device memory, MB', ({ peakDeviceBytes }) => (peakDeviceBytes / 1e6).toFixed(0)),
  ];
}
