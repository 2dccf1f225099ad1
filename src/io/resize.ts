/** Antialiased resampling of 8-bit RGB, equal in every byte to Pillow's `Image.resize` (its Resample.c). */
import type { DecodedImage } from './images.ts';

export type Interpolation = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos';

interface Filter {
  /** Half the width in source pixels when the scale is 1. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const filters: Record<Exclude<Interpolation, 'nearest'>, Filter> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: (x) => hamming(Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x)) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys' cubic with a = -0.5, in the order of operations of Pillow so that no rounding differs. */
function cubic(x: number): number {
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** The constants are floats in Pillow. */
function hamming(x: number): number {
  if (x === 0) return 1;
  return x >= 1 ? 0 : sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** 32 bits less 8 of the pixel and 2 for the overshoot of a filter with negative lobes. */
const precisionBits = 32 - 8 - 2;

/** Which source pixels make each output pixel of one axis, and by how much in units of 2^-precisionBits. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `[outputs, stride]`; an axis whose size stays has one tap of weight 1. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** The taps of the `length` outputs from `start` on. */
function tapsOf(inSize: number, outSize: number, start: number, length: number, interpolation: Interpolation): Taps {
  if (interpolation === 'nearest') return nearestTaps(inSize / outSize, start, length);
  return filterTaps(inSize, outSize, start, length, filters[interpolation]);
}

/** The source pixel under the centre of each output; Pillow adds the step up, and so does this. */
function nearestTaps(step: number, start: number, length: number): Taps {
  const first = new Int32Array(length);
  let position = step * 0.5;
  for (let out = 0; out < start + length; out++, position += step) {
    if (out >= start) first[out - start] = Math.trunc(position);
  }
  const weights = new Int32Array(length).fill(2 ** precisionBits);
  return { first, count: new Int32Array(length).fill(1), weights, stride: 1 };
}

function filterTaps(inSize: number, outSize: number, start: number, length: number, filter: Filter): Taps {
  const scale = inSize / outSize;
  const filterScale = Math.max(scale, 1); // enlarging keeps the filter's own width
  const inverse = 1 / filterScale;
  const support = filter.support * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const weights = new Int32Array(length * stride);
  const exact = new Float64Array(stride);
  for (let out = 0; out < length; out++) {
    const center = (start + out + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const taps = Math.min(Math.trunc(center + support + 0.5), inSize) - begin;
    let sum = 0;
    for (let i = 0; i < taps; i++) {
      exact[i] = filter.weight((i + begin - center + 0.5) * inverse);
      sum += exact[i] as number;
    }
    for (let i = 0; i < taps; i++) {
      const weight = ((exact[i] as number) / sum) * 2 ** precisionBits;
      weights[out * stride + i] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    first[out] = begin;
    count[out] = taps;
  }
  return { first, count, weights, stride };
}

/** A rectangle of the resized picture, inside it. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The part `region` (the whole by default) of `image` at `width` x `height`: along the rows, then along the columns, each
 * pass rounded and clipped to 8 bits. Work and memory grow with the region, not with the whole: the crop of a picture of
 * one pixel by thousands costs no gigabytes.
 *
 * Throws RangeError for a size that is not a positive integer and for a region that leaves the picture.
 */
export function resize(
  image: DecodedImage,
  width: number,
  height: number,
  interpolation: Interpolation,
  region: Region = { left: 0, top: 0, width, height },
): DecodedImage {
  for (const [size, begin, length] of [
    [width, region.left, region.width],
    [height, region.top, region.height],
  ] as const) {
    const isInside = begin >= 0 && length >= 1 && begin + length <= size;
    if (![size, begin, length].every(Number.isSafeInteger) || !isInside) {
      throw new RangeError(`Cannot resize to ${width} x ${height}, region ${JSON.stringify(region)}.`);
    }
  }
  const columns = tapsOf(image.width, width, region.left, region.width, interpolation);
  const rows = tapsOf(image.height, height, region.top, region.height, interpolation);
  const firstRow = rows.first[0] as number;
  const endRow = (rows.first.at(-1) as number) + (rows.count.at(-1) as number);
  const rowLength = image.width * 3;
  const needed = image.data.subarray(firstRow * rowLength, endRow * rowLength);
  const narrowed = resample(needed, columns, { outer: endRow - firstRow, inSize: image.width, inner: 3 });
  const shifted = { ...rows, first: rows.first.map((row) => row - firstRow) };
  const data = resample(narrowed, shifted, { outer: 1, inSize: endRow - firstRow, inner: region.width * 3 });
  return { width: region.width, height: region.height, data };
}

/** `[outer, inSize, inner]` to `[outer, outputs, inner]` along the middle axis. */
function resample(
  source: Uint8Array,
  { first, count, weights, stride }: Taps,
  { outer, inSize, inner }: { outer: number; inSize: number; inner: number },
): Uint8Array {
  const outSize = first.length;
  const target = new Uint8Array(outer * outSize * inner);
  const half = 1 << (precisionBits - 1);
  for (let o = 0; o < outer; o++) {
    for (let out = 0; out < outSize; out++) {
      const taps = count[out] as number;
      const start = (o * inSize + (first[out] as number)) * inner;
      const end = (o * outSize + out) * inner;
      for (let i = 0; i < inner; i++) {
        let sum = half;
        for (let tap = 0; tap < taps; tap++) {
          // Below 2^31: at most 255 * 2^22 times the sum of |weights|, which is below 2 for every filter here.
          sum += (source[start + tap * inner + i] as number) * (weights[out * stride + tap] as number);
        }
        const value = sum >> precisionBits;
        target[end + i] = value < 0 ? 0 : value > 255 ? 255 : value;
      }
    }
  }
  return target;
}
