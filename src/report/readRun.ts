import type { LayerReport } from '../calibrate/layerReport.ts';
import { METRICS } from '../calibrate/options.ts';
import { JsonReader } from '../io/jsonReader.ts';
import { parseJson } from '../io/parseJson.ts';
import type { ParetoData } from './charts/pareto.ts';

/** What a report shows of a run: of `<recipe>.run.json`. */
export interface RunData {
  readonly preset: string;
  readonly images: number;
  readonly warnings: readonly string[];
  readonly skippedImages: readonly string[];
  readonly floatWeightBytes: number;
  readonly quantizedWeightBytes: number;
  readonly modelFileBytes: number | null;
  readonly candidates: number;
  readonly stageMs: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Null of a run in a browser, which does not tell. */
  readonly peakProcessBytes: number | null;
  readonly peakDeviceBytes: number;
  readonly adapter: string;
  readonly pareto: ParetoData | null;
  /** None in files of version 1, and in those of runs without `--report`. */
  readonly layerReports: readonly LayerReport[];
}

/** What `evaluate --json` tells of a recipe or model file. */
export interface EvaluationData {
  readonly images: number;
  readonly top1: number | null;
  readonly top5: number | null;
  readonly floatTop1: number | null;
  readonly floatTop5: number | null;
  readonly agreement: number | null;
  readonly klDivergence: number | null;
  readonly logitSqnrDb: number | null;
}

const MOST = Number.MAX_SAFE_INTEGER;

/**
 * Reads `<recipe>.run.json` of version 1 or 2.
 *
 * @param file names it in errors
 * @throws FormatError naming what is wrong
 */
export function readRun(text: string, file: string): RunData {
  const root = new JsonReader(parseJson(text, file), file);
  root.field('format').word(['twinshift-run']);
  const version = root.field('version').integer(1, 2);
  const modelFile = root.field('modelFileBytes');
  const resident = root.field('peakProcessBytes');
  const adapter = root.field('adapter');
  const { description, vendor, architecture } = {
    description: textOf(adapter.field('description')),
    vendor: textOf(adapter.field('vendor')),
    architecture: textOf(adapter.field('architecture')),
  };
  const mixed = root.field('mixedPrecision');
  return {
    preset: root.field('preset').text(),
    images: root.field('images').integer(1, MOST),
    warnings: root
      .field('warnings')
      .items()
      .map((item) => item.text()),
    skippedImages: root
      .field('skippedImages')
      .items()
      .map((item) => item.text()),
    floatWeightBytes: root.field('floatWeightBytes').number(0, MOST),
    quantizedWeightBytes: root.field('quantizedWeightBytes').number(0, MOST),
    modelFileBytes: modelFile.value === null ? null : modelFile.number(0, MOST),
    candidates: root.field('candidates').number(0, MOST),
    stageMs: Object.fromEntries(
      root
        .field('stageMs')
        .entries()
        .map(([stage, ms]) => [stage, ms.number(0, MOST)]),
    ),
    seconds: root.field('seconds').number(0, MOST),
    peakProcessBytes: resident.value === null ? null : resident.number(0, MOST),
    peakDeviceBytes: root.field('peakDeviceBytes').number(0, MOST),
    adapter: `${description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed adapter'}${adapter.field('software').boolean() ? ' (software)' : ''}`,
    pareto: mixed.value === null || mixed.value === undefined ? null : readPareto(mixed),
    layerReports: version === 1 ? [] : root.field('layerReports').items().map(readLayerReport),
  };
}

/** Reads what `evaluate --json` printed. */
export function readEvaluation(text: string, file: string): EvaluationData {
  const root = new JsonReader(parseJson(text, file), file);
  const optional = (name: string, low: number, high: number) => {
    const field = root.field(name);
    return field.value === null || field.value === undefined ? null : field.number(low, high);
  };
  return {
    images: root.field('images').integer(1, MOST),
    top1: optional('top1', 0, 1),
    top5: optional('top5', 0, 1),
    floatTop1: optional('floatTop1', 0, 1),
    floatTop5: optional('floatTop5', 0, 1),
    agreement: optional('agreement', 0, 1),
    klDivergence: optional('klDivergence', 0, MOST),
    logitSqnrDb: optional('logitSqnrDb', -MOST, MOST),
  };
}

function textOf({ value }: JsonReader): string {
  return typeof value === 'string' ? value : '';
}

function readPareto(reader: JsonReader): ParetoData {
  const number = (from: JsonReader, name: string) => from.field(name).number(0, MOST);
  return {
    unit: reader.field('unit').word(['bits', 'bytes', 'ms']),
    budget: number(reader, 'budget'),
    cost: number(reader, 'cost'),
    damage: number(reader, 'damage'),
    curve: reader
      .field('curve')
      .items()
      .map((point) => ({ cost: number(point, 'cost'), damage: number(point, 'damage') })),
  };
}

function readLayerReport(reader: JsonReader): LayerReport {
  return {
    name: reader.field('name').text(),
    unit: reader.field('unit').text(),
    kind: reader.field('kind').word(['linear', 'matmul']),
    operand: reader.field('operand').word(['plain', 'post-softmax', 'post-gelu', 'pixels']),
    a: readOperand(reader.field('a')),
    b: readOperand(reader.field('b')),
    sqnrDb: reader.field('sqnrDb').number(-200, 200),
    cosine: reader.field('cosine').number(-1.001, 1.001),
    curves: reader.field('curves').items().map(readCurve),
    rows: reader.field('rows').integer(1, MOST),
    milliseconds: reader.field('milliseconds').number(0, MOST),
  };
}

function readOperand(reader: JsonReader): LayerReport['a'] {
  const histogram = reader.field('histogram');
  const low = histogram.field('low').number(-MOST, MOST);
  return {
    histogram: {
      low,
      high: histogram.field('high').number(low, MOST),
      counts: someOf(histogram.field('counts'), 200).map((count) => count.integer(0, MOST)),
    },
    clipped: reader.field('clipped').number(0, 1),
    saturated: reader.field('saturated').number(0, 1),
  };
}

function readCurve(reader: JsonReader): LayerReport['curves'][number] {
  const factors = someOf(reader.field('factors'), 100).map((factor) => factor.positive());
  const metrics = reader.field('metrics');
  metrics.only(METRICS);
  return {
    operand: reader.field('operand').word(['a', 'b']),
    factors,
    chosen: reader.field('chosen').integer(0, factors.length - 1),
    metrics: Object.fromEntries(
      metrics.entries().map(([name, values]) => {
        const scores = values.items().map((score) => score.number(1, MOST));
        return [name, scores.length === factors.length ? scores : values.refuse(`${factors.length} scores`)];
      }),
    ),
  };
}

/** From one to `most` items. */
function someOf(reader: JsonReader, most: number): JsonReader[] {
  const items = reader.items();
  return items.length >= 1 && items.length <= most ? items : reader.refuse(`1 to ${most} values`);
}
