import type { NonlinearMethod } from '../../src/calibrate/recipe.ts';
import { compareLogits, type Comparison } from '../../src/evaluate/compare.ts';
import { ExportError } from '../../src/export/errors.ts';
import { exportModel, type ExportInput } from '../../src/export/exportModel.ts';
import type { NonlinearChoice } from '../../src/export/nonlinear.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { FloatKind } from '../../src/infer/context.ts';
import { sessionOf } from '../../src/infer/session.ts';

/** One row of the table: how each kind is computed, and what came of it. */
export interface NonlinearRow {
  readonly softmax: NonlinearCell;
  readonly gelu: NonlinearCell;
  readonly layerNorm: NonlinearCell;
  /** Against the float network, or why the exporter refused a layer. */
  readonly result: Comparison | { readonly refused: string };
}

export type NonlinearCell = NonlinearMethod | 'auto' | 'float';
type Cells = Readonly<Record<FloatKind, NonlinearCell>>;

export interface EvaluationImages {
  /** uint8 `[images][height][width][3]`. */
  readonly pixels: Uint8Array;
  readonly labels: readonly number[];
  /** Logits of the float network, `[images][classes]`. */
  readonly float: Float32Array;
}

const KINDS: readonly FloatKind[] = ['softmax', 'gelu', 'layerNorm'];
const METHODS: readonly NonlinearMethod[] = ['shift', 'shift-fixed', 'poly', 'lut'];

/**
 * Each method of softmax, GELU and LayerNorm alone between float ones, all three together, `auto` and all in float. LayerNorm has
 * two integer forms alone, that of `shift` and the one that the other methods share.
 */
export function nonlinearRows(): readonly Cells[] {
  const float: Cells = { softmax: 'float', gelu: 'float', layerNorm: 'float' };
  const alone = KINDS.flatMap((kind) => {
    const methods = kind === 'layerNorm' ? METHODS.slice(0, 2) : METHODS;
    return methods.map((method): Cells => ({ ...float, [kind]: method }));
  });
  const together = ([...METHODS, 'auto'] as const).map((cell): Cells => ({
    softmax: cell,
    gelu: cell,
    layerNorm: cell,
  }));
  return [float, ...alone, ...together];
}

/**
 * Runs every row on all images. A kind in float reads what `auto` would have it read, 16-bit inputs of GELU for one. `shift` takes
 * logits and inputs of GELU at 8 bits and the calibration images' range, as I-ViT does; the other methods have 12 and 16 bits.
 */
export async function nonlinearTable(
  gpu: Gpu,
  recipe: Omit<ExportInput, 'nonlinear'>,
  { pixels, labels, float }: EvaluationImages,
  onRow: (row: NonlinearRow) => void = () => undefined,
): Promise<readonly NonlinearRow[]> {
  const rows: NonlinearRow[] = [];
  for (const cells of nonlinearRows()) {
    const row = { ...cells, result: await resultOf(gpu, recipe, cells, { pixels, labels, float }) };
    rows.push(row);
    onRow(row);
  }
  return rows;
}

async function resultOf(
  gpu: Gpu,
  recipe: Omit<ExportInput, 'nonlinear'>,
  cells: Cells,
  { pixels, labels, float }: EvaluationImages,
): Promise<NonlinearRow['result']> {
  const choice: NonlinearChoice = Object.fromEntries(
    KINDS.map((kind) => [kind, cells[kind] === 'float' ? 'auto' : cells[kind]]),
  );
  const inFloat = KINDS.filter((kind) => cells[kind] === 'float');
  let model;
  try {
    model = await exportModel({ ...recipe, nonlinear: choice });
  } catch (error) {
    if (error instanceof ExportError) return { refused: error.message };
    throw error;
  }
  const options = inFloat.length > 0 ? ({ runtime: 'mixed', float: inFloat } as const) : {};
  const session = await sessionOf(gpu.device, model, { ...options, maxBatch: 16 });
  const integers = await session.run(pixels, labels.length);
  const classes = session.numClasses;
  session.destroy();
  gpu.check();
  const logits = Float32Array.from(integers, (value) => value * session.logitScale);
  return compareLogits({ logits: float, classes }, { logits, classes }, labels);
}

export const NONLINEAR_HEADER = [
  'softmax',
  'GELU',
  'LayerNorm',
  'agreement with float, %',
  'top-1 drop, points',
  'KL, nats',
  'logit SQNR, dB',
];

/** A row as cells of a Markdown table. */
export function nonlinearCells({ softmax, gelu, layerNorm, result }: NonlinearRow): string[] {
  const isAlone = softmax === 'float' && gelu === 'float' && layerNorm === 'shift-fixed';
  const methods = [softmax, gelu, isAlone ? 'shift-fixed, poly, lut' : layerNorm];
  if ('refused' in result) return [...methods, `refused: ${result.refused}`, '', '', ''];
  const { agreement, topOneDropPoints, klDivergence, logitSqnrDb } = result;
  return [
    ...methods,
    (100 * agreement).toFixed(2),
    topOneDropPoints === null ? 'no labels' : topOneDropPoints.toFixed(2),
    klDivergence.toFixed(5),
    logitSqnrDb === null ? 'no error' : logitSqnrDb.toFixed(2),
  ];
}
