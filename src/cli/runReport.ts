import type { AdapterDescription, LayerReport, MixedPrecision } from '../node.ts';
import { formatBytes, formatCount, formatDuration, formatPercent, plural, table } from './text.ts';

/** What `quantize --json` prints and `<out>.run.json` holds: everything about a run that is not its result. */
export interface RunReport {
  readonly format: 'twinshift-run';
  readonly version: 2;
  /** Folders as they were given. */
  readonly model: string;
  readonly out: string;
  /** Of a model of the hub, what its revision was; null for a folder. */
  readonly modelCommit: string | null;
  readonly images: number;
  /** Images drawn by the program, not photographs. */
  readonly syntheticImages: boolean;
  /** Files of the image folder that are no images by their name. */
  readonly ignoredFiles: number;
  /** Images that could not be read, with `--skip-bad-images`. */
  readonly skippedImages: readonly string[];
  /** What a person should know of the images. */
  readonly warnings: readonly string[];
  readonly preset: string;
  readonly weightBits: number;
  readonly activationBits: number;
  readonly seed: number;
  readonly layers: number;
  readonly meanWeightBits: number;
  readonly meanActivationBits: number;
  readonly floatWeightBytes: number;
  readonly quantizedWeightBytes: number;
  /** Of model.twinshift.safetensors; null for a recipe that has no form in integers. */
  readonly modelFileBytes: number | null;
  /** Candidate scales that were scored. */
  readonly candidates: number;
  /** Layers whose twin shift is the largest that a 32-bit accumulator allows: a wider one might have served them better. */
  readonly layersAtMaxShift: readonly string[];
  readonly stageMs: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Largest resident memory of the process so far, the device's own on a software adapter included. */
  readonly peakProcessBytes: number;
  readonly peakDeviceBytes: number;
  /** What was chosen for single layers to keep a budget; null without one. */
  readonly mixedPrecision: MixedPrecision | null;
  readonly adapter: AdapterDescription;
  /** Figures of single layers in the order of the forward pass; none without `--report`. */
  readonly layerReports: readonly LayerReport[];
}

/** The report as text for a reader. */
export function runSummary(report: RunReport): string {
  const { images, ignoredFiles, skippedImages } = report;
  const left = [
    ...(skippedImages.length > 0 ? [`${skippedImages.length} unreadable skipped`] : []),
    ...(ignoredFiles > 0 ? [`${plural(ignoredFiles, 'other file')} ignored`] : []),
  ];
  const rows = [
    ['images', [report.syntheticImages ? `${images} synthetic` : String(images), ...left].join(', ')],
    [
      'layers',
      `${report.layers} quantized, preset ${report.preset}, ${formatCount(Math.round(report.candidates))} candidates scored`,
    ],
    ['mean bits', `weights ${meanBits(report.meanWeightBits)}, activations ${meanBits(report.meanActivationBits)}`],
    ...(report.mixedPrecision ? [['budget', budgetText(report.mixedPrecision)]] : []),
    ...(report.layersAtMaxShift.length > 0
      ? [['at the bound', `twin shift is the largest that fits 32 bits in ${report.layersAtMaxShift.join(', ')}`]]
      : []),
    ['weights', `${formatBytes(report.floatWeightBytes)} float, ${formatBytes(report.quantizedWeightBytes)} quantized`],
    ...(report.modelFileBytes === null ? [] : [['model file', modelFileText(report.modelFileBytes, report)]]),
    ['time', `${formatDuration(1000 * report.seconds)}: ${stageText(report.stageMs)}`],
    [
      'peak memory',
      `${formatBytes(report.peakProcessBytes)} process, ${formatBytes(report.peakDeviceBytes)} device buffers`,
    ],
    ['adapter', adapterText(report.adapter)],
    ['written', writtenText(report)],
  ];
  return `${table(rows).join('\n')}\n`;
}

function writtenText({ out, layerReports }: RunReport): string {
  return layerReports.length > 0 ? `${out}, ${out}.run.json and ${out}.report.html` : `${out} and ${out}.run.json`;
}

function budgetText({ unit, budget, cost, damage, bound }: MixedPrecision): string {
  const gap = damage > bound ? `, at most ${formatPercent(1 - bound / damage)} of it avoidable` : '';
  const spent = unit === 'bytes' ? `${Math.round(cost)}` : cost.toPrecision(4);
  return `${spent} of ${budget} ${unit} used, expected KL ${damage.toPrecision(3)} nats${gap}`;
}

function modelFileText(bytes: number, { floatWeightBytes }: RunReport): string {
  return `${formatBytes(bytes)}, ${formatPercent(bytes / floatWeightBytes)} of float, for inference in integers`;
}

/** Stages with the searches of all layers as one; `<out>.run.json` tells them apart. */
function stageText(stageMs: RunReport['stageMs']): string {
  const times = new Map<string, number>();
  for (const [stage, ms] of Object.entries(stageMs)) {
    const name = stage.startsWith('search ') ? 'search' : stage;
    times.set(name, (times.get(name) ?? 0) + ms);
  }
  return [...times].map(([name, ms]) => `${name} ${formatDuration(ms)}`).join(', ');
}

/** `8` or `5.87`. */
export function meanBits(bits: number): string {
  return Number.isInteger(bits) ? String(bits) : bits.toFixed(2);
}

/** An adapter in one line. */
export function adapterText({ vendor, architecture, description, software }: AdapterDescription): string {
  const name = description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter';
  return software ? `${name} (software)` : name;
}
