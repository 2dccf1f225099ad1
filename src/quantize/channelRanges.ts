/** Bins of a channel's histogram, of equal width from its smallest to its largest value. */
export const CHANNEL_BINS = 128;

/** What is known of the channels of a tensor over the calibration images. */
export interface ChannelRange {
  /** Smallest value of each channel. */
  readonly low: Float32Array;
  /** Largest value of each channel. */
  readonly high: Float32Array;
  /** How many values lie in each bin, `[columns][CHANNEL_BINS]`. */
  readonly counts: Uint32Array;
  /** Of the channels of each head of queries and of keys. */
  readonly moments: readonly HeadMoments[];
}

/** Moments of the channels of a head over all rows. */
export interface HeadMoments {
  readonly channels: readonly number[];
  readonly mean: Float64Array;
  /** Mean products of two channels, `[channels][channels]`. */
  readonly products: Float64Array;
}

/** By the name of a `ChannelTensor`. */
export type ChannelRanges = ReadonlyMap<string, ChannelRange>;

/** Middle and half width of each channel's range. */
export interface ChannelBounds {
  readonly middle: Float64Array;
  readonly half: Float64Array;
}

/** A channel of fewer values is never clipped: what it has not reached yet it will. */
const FEWEST_TO_CLIP = 1024;
/** Shares of the way from the mean of a channel to an end of its values at which that end may be clipped. */
const CLIPPED_ENDS = [1, 0.9, 0.8, 0.7, 0.6, 0.5];

/**
 * The range of each channel that codes of `bits` bits hold with the least squared error: no wider than its values, and at least half
 * as wide to either side of their mean. A value inside it costs step^2 / 12, one outside its distance from the end.
 */
export function bestBounds(range: ChannelRange, bits: number): ChannelBounds {
  const columns = range.low.length;
  const [middle, half] = [new Float64Array(columns), new Float64Array(columns)];
  for (let column = 0; column < columns; column++) {
    const [low, high] = bestRange(range, column, 2 ** bits - 1);
    middle[column] = (low + high) / 2;
    half[column] = (high - low) / 2;
  }
  return { middle, half };
}

/** The range of one tensor of which `ranges` are parts; bins are filled anew by the middles of theirs. */
export function joinRanges(ranges: readonly ChannelRange[]): ChannelRange {
  const [first] = ranges as [ChannelRange];
  if (ranges.length === 1) return first;
  const low = first.low.map((_, column) => Math.min(...ranges.map((range) => range.low[column] as number)));
  const high = first.high.map((_, column) => Math.max(...ranges.map((range) => range.high[column] as number)));
  const counts = new Uint32Array(first.counts.length);
  for (const range of ranges) {
    range.counts.forEach((n, i) => {
      const column = Math.floor(i / CHANNEL_BINS);
      const [from, to] = [range.low[column] as number, range.high[column] as number];
      const value = from + ((i % CHANNEL_BINS) + 0.5) * ((to - from) / CHANNEL_BINS);
      const index = column * CHANNEL_BINS + channelBin(value, low[column] as number, high[column] as number);
      counts[index] = (counts[index] as number) + n;
    });
  }
  return { low, high, counts, moments: [] };
}

/** The bin that holds a value of low..high; 0 where all values are the same. */
export function channelBin(value: number, low: number, high: number): number {
  return high > low ? Math.min(Math.floor(((value - low) / (high - low)) * CHANNEL_BINS), CHANNEL_BINS - 1) : 0;
}

/** Largest magnitude of each channel. */
export function largestMagnitudes({ low, high }: ChannelRange): Float64Array {
  return Float64Array.from(low, (value, column) => Math.max(-value, high[column] as number));
}

function bestRange({ low, high, counts }: ChannelRange, column: number, steps: number): [low: number, high: number] {
  const [least, most] = [low[column] as number, high[column] as number];
  const histogram = counts.subarray(column * CHANNEL_BINS, (column + 1) * CHANNEL_BINS);
  const width = (most - least) / CHANNEL_BINS;
  const center = (bin: number) => least + (bin + 0.5) * width;
  let [count, sum] = [0, 0];
  histogram.forEach((n, bin) => {
    count += n;
    sum += n * center(bin);
  });
  if (count < FEWEST_TO_CLIP || width === 0) return [least, most];
  const mean = sum / count;
  const lows = CLIPPED_ENDS.map((share) => mean + share * (least - mean));
  const highs = CLIPPED_ENDS.map((share) => mean + share * (most - mean));
  const beyond = (end: number, sign: 1 | -1) =>
    histogram.reduce((error, n, bin) => error + n * Math.max(0, sign * (center(bin) - end)) ** 2, 0);
  const lowCosts = lows.map((end) => beyond(end, -1));
  const highCosts = highs.map((end) => beyond(end, 1));
  let best: [number, number] = [least, most];
  let bestCost = Infinity;
  lows.forEach((from, i) => {
    highs.forEach((to, j) => {
      const cost = (count * ((to - from) / steps) ** 2) / 12 + (lowCosts[i] as number) + (highCosts[j] as number);
      if (cost < bestCost) [best, bestCost] = [[from, to], cost];
    });
  });
  return best;
}
