import { ablate, type AblationRow } from '../../src/node/ablate.ts';
import { printClaims, printTable, yes, type Claim } from '../support/table.ts';
import { note, progressLines } from './progressLines.ts';
import { firstSeed, type Section } from './section.ts';
import { COMPARISON_HEADER, comparisonCells } from './trials.ts';

const WIDTHS = [8, 6, 4];

/** The paper's ablation (PTQ4ViT, table 3) on DeiT-Tiny, with the fast search so that it ends. */
export const ablationSection: Section = async (setting) => {
  const { model, calibration, evaluation } = await setting.tiny();
  const input = {
    calibration: calibration.images,
    evaluation: evaluation.images.map(({ rgb }) => rgb),
    labels: evaluation.labels,
    preset: setting.ablationPreset,
    overrides: { search: 'coarse-to-fine', candidates: 48, rounds: 2, seed: firstSeed(setting) },
    bits: WIDTHS,
  } as const;
  const onRow = (row: AblationRow) => {
    note(`ablation: ${cellsOf(row).join(' | ')}`);
  };
  const rows = await ablate(setting.gpu, model, input, { onProgress: progressLines('ablation'), onRow });
  const photos = `${calibration.images.length} calibration photos, ${evaluation.images.length} others`;
  const header = ['bits', 'Hessian', 'softmax twin', 'GELU twin', 'top-1, %', ...COMPARISON_HEADER];
  printTable(`Ablation: DeiT-Tiny, ${setting.ablationPreset}, ${photos}`, header, rows.map(cellsOf));
  return printClaims(
    "The paper's order, in KL",
    WIDTHS.flatMap((bits) => orderClaims(rows, bits)),
  );
};

function cellsOf(row: AblationRow): string[] {
  const mark = (on: boolean) => (on ? 'yes' : 'no');
  return [
    `W${row.weightBits}A${row.activationBits}`,
    ...[row.hessian, row.softmaxTwin, row.geluTwin].map(mark),
    (100 * (row.comparison.top1 as number)).toFixed(2),
    ...comparisonCells(row.comparison),
  ];
}

function orderClaims(rows: readonly AblationRow[], bits: number): Claim[] {
  const divergence = (hessian: boolean, twins: boolean) => {
    const found = rows.find(
      (row) =>
        row.weightBits === bits && row.hessian === hessian && row.softmaxTwin === twins && row.geluTwin === twins,
    );
    return (found as AblationRow).comparison.klDivergence;
  };
  const below = (what: string, better: number, worse: number) =>
    yes(`W${bits}A${bits}: ${what}`, better < worse, `${better.toFixed(4)} against ${worse.toFixed(4)}`);
  return [
    below('Hessian helps without twin ranges', divergence(true, false), divergence(false, false)),
    below('Hessian helps with twin ranges', divergence(true, true), divergence(false, true)),
    below('twin ranges help with Hessian', divergence(true, true), divergence(true, false)),
  ];
}
