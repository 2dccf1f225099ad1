import type { AdapterDescription, BenchResult, OperationTime } from '../node.ts';
import { adapterText } from './runReport.ts';
import { formatBytes, formatDuration, formatPercent, plural, table, type Alignment } from './text.ts';

/** What `bench --json` prints. */
export interface BenchReport extends BenchResult {
  /** Paths as they were given. */
  readonly model: string;
  readonly against: string | null;
  readonly modelFileBytes: number;
  /** All parameters of the float model as f32; null without one. */
  readonly floatWeightBytes: number | null;
  /** Of the whole run. */
  readonly seconds: number;
  readonly adapter: AdapterDescription;
}

/** The measures as text for a reader. */
export function benchSummary(report: BenchReport): string {
  const { layers, layersBatch } = report;
  return `${[
    adapterText(report.adapter),
    '',
    ...speed(report),
    '',
    ...memory(report),
    '',
    ...(layers
      ? [`device time of the layers, ${plural(layersBatch, 'image')} a batch`, ...layerTable(layers)]
      : ['no time of each layer: this adapter has no timestamp-query']),
    '',
    `measured in ${formatDuration(1000 * report.seconds)}`,
  ].join('\n')}\n`;
}

const RIGHT: readonly Alignment[] = ['right', 'right', 'right', 'right', 'right', 'right'];

function speed({ batches, against }: BenchReport): string[] {
  const header = ['batch', 'integer', 'a batch', ...(against === null ? [] : ['float', 'a batch', 'ratio'])];
  const rows = batches.map(({ batch, integer, float, ratio }) => [
    String(batch),
    rate(integer.imagesPerSecond),
    formatMilliseconds(integer.milliseconds),
    ...(float && ratio !== null
      ? [rate(float.imagesPerSecond), formatMilliseconds(float.milliseconds), `${ratio.toFixed(2)} x`]
      : []),
  ]);
  return table([header, ...rows], RIGHT);
}

function memory({
  modelFileBytes,
  floatWeightBytes,
  memory: { weightBytes, activationBytes, floatBytes },
}: BenchReport) {
  const share = floatWeightBytes === null ? '' : `, ${formatPercent(modelFileBytes / floatWeightBytes)} of float`;
  return table([
    ['model file', `${formatBytes(modelFileBytes)}${share}`],
    ['device memory', `${formatBytes(weightBytes)} weights, ${formatBytes(activationBytes)} activations`],
    ...(floatBytes === null || floatWeightBytes === null
      ? []
      : [['float', `${formatBytes(floatWeightBytes)} weights, ${formatBytes(floatBytes)} of device memory in all`]]),
  ]);
}

/** The same layer of all blocks as one row: `--json` tells them apart. */
function layerTable(layers: readonly OperationTime[]): string[] {
  const total = layers.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const groups = new Map<string, { count: number; milliseconds: number }>();
  for (const { name, milliseconds } of layers) {
    const key = name.replace(/^blocks\.\d+\./, 'blocks.*.');
    const group = groups.get(key) ?? { count: 0, milliseconds: 0 };
    groups.set(key, { count: group.count + 1, milliseconds: group.milliseconds + milliseconds });
  }
  const row = (name: string, count: number, milliseconds: number) => [
    name,
    String(count),
    formatMilliseconds(milliseconds),
    formatPercent(total > 0 ? milliseconds / total : 0),
  ];
  const rows = [...groups].map(([name, { count, milliseconds }]) => row(name, count, milliseconds));
  const alignment: readonly Alignment[] = ['left', 'right', 'right', 'right'];
  return table([...rows, row('total', layers.length, total)], alignment);
}

function rate(imagesPerSecond: number): string {
  return `${imagesPerSecond < 100 ? imagesPerSecond.toPrecision(3) : imagesPerSecond.toFixed(0)} images/s`;
}

function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 100 ? `${milliseconds.toFixed(2)} ms` : formatDuration(milliseconds);
}
