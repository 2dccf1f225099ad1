import type { Model } from '../../src/model/load.ts';
import { CHANNEL_BINS, type ChannelRange } from '../../src/quantize/channelRanges.ts';
import { channelTensors, foldingSites, headsOf } from '../../src/quantize/foldingSites.ts';
import { doubleForward } from './doubleForward.ts';

/** Ends and histogram of each column of `values`, `[rows][columns]`, and moments of the channels of each of `heads`. */
export function rangeOfRows(values: ArrayLike<number>, columns: number, heads: number[][] = []): ChannelRange {
  const low = new Float32Array(columns);
  const high = new Float32Array(columns);
  const counts = new Uint32Array(columns * CHANNEL_BINS);
  for (let column = 0; column < columns; column++) {
    const channel = Array.from(
      { length: values.length / columns },
      (_, row) => values[row * columns + column] as number,
    );
    const [least, most] = [Math.min(...channel), Math.max(...channel)];
    low[column] = least;
    high[column] = most;
    for (const value of channel) {
      const share = most > least ? (value - least) / (most - least) : 0;
      const bin = share === 1 ? CHANNEL_BINS - 1 : Math.floor(share * CHANNEL_BINS);
      counts[column * CHANNEL_BINS + bin]!++;
    }
  }
  const rows = values.length / columns;
  const mean = (of: (row: number) => number) =>
    Array.from({ length: rows }, (_, row) => of(row * columns)).reduce((sum, value) => sum + value, 0) / rows;
  const moments = heads.map((channels) => ({
    channels,
    mean: Float64Array.from(channels, (a) => mean((first) => values[first + a]!)),
    products: Float64Array.from(
      channels.flatMap((a) => channels.map((b) => mean((first) => values[first + a]! * values[first + b]!))),
    ),
  }));
  return { low, high, counts, moments };
}

/** The ranges that a folding of `model` looks at, and its logits, in double on a few images of patches. */
export function doubleRanges(
  model: Model,
  images: readonly Float32Array[],
): { ranges: Map<string, ChannelRange>; logits: number[] } {
  const sites = foldingSites(model.network);
  const tensors = channelTensors(sites);
  const values = new Map<string, number[]>(tensors.map(({ name }) => [name, []]));
  const logits = images.flatMap((patches) => [
    ...doubleForward(model, patches, undefined, (unit, tensor, row) => {
      const all = values.get(`${unit.name}.${tensor}`);
      for (const value of all ? row : []) all?.push(value);
    }),
  ]);
  const ranges = new Map(
    tensors.map(({ name, columns }) => [name, rangeOfRows(values.get(name)!, columns, headsOf(sites, name))]),
  );
  return { ranges, logits };
}

/** A copy of `model` with channels made awkward: outliers, offsets, gains of zero, a value and a key far from the others. */
export function withOutliers(model: Model): Model {
  const parameters = new Map(
    [...model.parameters].map(([name, { shape, values }]) => [name, { shape, values: values.slice() }]),
  );
  for (const [name, { shape, values }] of parameters) {
    const [rows = 1, columns = 1] = shape;
    if (/norm\d?\.weight$/.test(name)) {
      values[1]! *= 60;
      values[2] = 0;
      values[5] = 1e-7;
    } else if (/norm\d?\.bias$/.test(name)) {
      values[3]! += 25;
      values[2] = -4;
    } else if (name.endsWith('qkv.bias')) {
      values[rows / 3 + 1]! += 12; // a key
      values[(2 * rows) / 3 + 2]! -= 9; // a value
    } else if (name.endsWith('qkv.weight')) {
      for (let i = 0; i < columns; i++) {
        values[((2 * rows) / 3 + 3) * columns + i]! *= 30;
        values[(rows / 3 + 4) * columns + i]! *= 5;
        values[5 * columns + i] = 0; // a query that is zero but for its bias
      }
    }
  }
  return { ...model, parameters };
}
