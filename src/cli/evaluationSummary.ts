import { wilsonInterval, type AdapterDescription, type Comparison } from '../index.ts';
import { adapterText, meanBits } from './runReport.ts';
import { formatDuration, formatPercent, plural, table } from './text.ts';

/** What `evaluate --json` prints. */
export interface EvaluationReport extends Comparison {
  /** Mean over the weights of the quantized layers; 32 without a recipe. */
  readonly meanWeightBits: number;
  /** Mean over the activation operands by multiply-accumulates; 32 without a recipe. */
  readonly meanActivationBits: number;
  readonly seconds: number;
  readonly adapter: AdapterDescription;
}

/** The measures as text for a reader; top-1 and top-5 stand with their 95 % intervals. */
export function evaluationSummary(report: EvaluationReport, quantized: boolean): string {
  const { images } = report;
  const meanBitsText = `weights ${meanBits(report.meanWeightBits)}, activations ${meanBits(report.meanActivationBits)}`;
  return `${[
    `${plural(images, 'image')}, ${quantized ? 'quantized against float' : 'float only'}`,
    ...accuracyTable(quantized ? report : { ...report, top1: null, top5: null }, 'quantized'),
    ...table([
      ...(quantized ? [...nearnessRows(report, report.topOneDropPoints), ['mean bits', meanBitsText]] : []),
      ['time', formatDuration(1000 * report.seconds)],
      ['adapter', adapterText(report.adapter)],
    ]),
  ].join('\n')}\n`;
}

type Shares = Readonly<Record<'top1' | 'top5' | 'floatTop1' | 'floatTop5', number | null>> & {
  readonly images: number;
};

/** Top-1 and top-5 of the float model and of `name`, of those that are known. */
export function accuracyTable({ images, top1, top5, floatTop1, floatTop5 }: Shares, name: string): string[] {
  if (top1 === null && floatTop1 === null) return ['no labels: top-1 and top-5 are unknown'];
  return table([
    ['', 'top-1', '95 % interval', 'top-5', '95 % interval'],
    ...(floatTop1 === null ? [] : [['float', ...withInterval(floatTop1, images), ...withInterval(floatTop5, images)]]),
    ...(top1 === null ? [] : [[name, ...withInterval(top1, images), ...withInterval(top5, images)]]),
  ]);
}

type Distances = Readonly<Record<'agreement' | 'klDivergence' | 'logitSqnrDb', number | null>>;

/** How near two networks are, a row a measure. */
export function nearnessRows({ agreement, klDivergence, logitSqnrDb }: Distances, drop: number | null): string[][] {
  return [
    ...(drop === null ? [] : [['top-1 drop', `${drop.toFixed(2)} points`]]),
    ...(agreement === null
      ? []
      : [['agreement', `${formatPercent(agreement)} of the images have the same first class`]]),
    ...(klDivergence === null ? [] : [['KL', `${klDivergence.toPrecision(3)} nats`]]),
    ['logit SQNR', logitSqnrDb === null ? 'no error' : `${logitSqnrDb.toFixed(1)} dB`],
  ];
}

function withInterval(share: number | null, images: number): string[] {
  if (share === null) return ['', ''];
  const [low, high] = wilsonInterval(Math.round(share * images), images);
  return [formatPercent(share), `${formatPercent(low)} to ${formatPercent(high)}`];
}
