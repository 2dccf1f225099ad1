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
  const accuracy = [
    ['', 'top-1', '95 % interval', 'top-5', '95 % interval'],
    ['float', ...withInterval(report.floatTop1, images), ...withInterval(report.floatTop5, images)],
    ...(quantized ? [['quantized', ...withInterval(report.top1, images), ...withInterval(report.top5, images)]] : []),
  ];
  const rows = [
    ...(report.topOneDropPoints === null ? [] : [['top-1 drop', `${report.topOneDropPoints.toFixed(2)} points`]]),
    ['agreement', `${formatPercent(report.agreement)} of the images have the same first class`],
    ['KL', `${report.klDivergence.toPrecision(3)} nats`],
    ['logit SQNR', report.logitSqnrDb === null ? 'no error' : `${report.logitSqnrDb.toFixed(1)} dB`],
    ['mean bits', `weights ${meanBits(report.meanWeightBits)}, activations ${meanBits(report.meanActivationBits)}`],
  ];
  return `${[
    `${plural(images, 'image')}, ${quantized ? 'quantized against float' : 'float only'}`,
    ...(report.floatTop1 === null ? ['no labels: top-1 and top-5 are unknown'] : table(accuracy)),
    ...table([
      ...(quantized ? rows : []),
      ['time', formatDuration(1000 * report.seconds)],
      ['adapter', adapterText(report.adapter)],
    ]),
  ].join('\n')}\n`;
}

function withInterval(share: number | null, images: number): string[] {
  if (share === null) return ['', ''];
  const [low, high] = wilsonInterval(Math.round(share * images), images);
  return [formatPercent(share), `${formatPercent(low)} to ${formatPercent(high)}`];
}
