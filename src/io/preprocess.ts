/** From a decoded picture to the network's input as torchvision, timm and Hugging Face processors make it. */
import type { DecodedImage } from './images.ts';
import { resize, type Interpolation } from './resize.ts';

/** A checkpoint's own preprocessing; a wrong one costs 1 to 7 points of accuracy. */
export interface Preprocessing {
  /** Input size of the network in pixels: the centre crop. */
  readonly width: number;
  readonly height: number;
  /** Size of the short side after the resize, or the exact size. */
  readonly resizeShortestEdge: number | { readonly width: number; readonly height: number };
  readonly interpolation: Interpolation;
  /** Of half the margin: `half-even` in torchvision and timm, `floor` in Hugging Face processors. */
  readonly cropRounding: 'half-even' | 'floor';
  /** Factor from 0 ... 255 to the unit of `mean` and `std`; 1 / 255 nearly always. */
  readonly rescale: number;
  /** Of R, G, B. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** The short side that timm resizes to before it crops `inputSize`: floor(inputSize / cropPct). */
export function timmResizeSize(inputSize: number, cropPct: number): number {
  return Math.floor(inputSize / cropPct);
}

/**
 * The network's pixels, 8-bit RGB interleaved `[height, width, 3]`: resize, then centre crop, black where the resized
 * picture is smaller than the crop. Equal to Pillow and torchvision in every byte.
 */
export function preprocess(image: DecodedImage, p: Preprocessing): Uint8Array {
  const size = resizedSize(image, p.resizeShortestEdge);
  const left = cropOffset(size.width, p.width, p.cropRounding);
  const top = cropOffset(size.height, p.height, p.cropRounding);
  const region = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    width: Math.min(size.width, p.width),
    height: Math.min(size.height, p.height),
  };
  const cropped = resize(image, size.width, size.height, p.interpolation, region);
  if (region.width === p.width && region.height === p.height) return cropped.data;
  const padded = new Uint8Array(p.width * p.height * 3);
  for (let y = 0; y < region.height; y++) {
    const row = cropped.data.subarray(y * region.width * 3, (y + 1) * region.width * 3);
    padded.set(row, ((y + region.top - top) * p.width + region.left - left) * 3);
  }
  return padded;
}

/** The size after the resize: the long side is `trunc(size * long / short)`, as in torchvision. */
export function resizedSize(
  image: { readonly width: number; readonly height: number },
  target: Preprocessing['resizeShortestEdge'],
): { width: number; height: number } {
  if (typeof target !== 'number') return { width: target.width, height: target.height };
  const { width, height } = image;
  return width <= height
    ? { width: target, height: Math.trunc((target * height) / width) }
    : { width: Math.trunc((target * width) / height), height: target };
}

/** First source pixel of the crop along one axis; negative when the crop is larger and black comes before the picture. */
export function cropOffset(size: number, crop: number, rounding: Preprocessing['cropRounding']): number {
  const margin = size - crop;
  const floor = Math.floor(margin / 2);
  if (rounding === 'floor' || margin % 2 === 0) return floor;
  // torchvision pads floor(-margin / 2) before, and rounds half of a positive margin half to even
  if (margin < 0) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * `rgb` of `preprocess` as f32 planes `[3, height, width]`: `(v * rescale - mean) / std`, every step rounded to f32, as
 * torchvision's ToTensor and Normalize.
 */
export function normalizePixels(rgb: Uint8Array, p: Preprocessing): Float32Array<ArrayBuffer> {
  const pixels = rgb.length / 3;
  const planes = new Float32Array(rgb.length);
  for (let c = 0; c < 3; c++) {
    const mean = Math.fround(p.mean[c] as number);
    const std = Math.fround(p.std[c] as number);
    const table = Float32Array.from({ length: 256 }, (_, v) => Math.fround(Math.fround(v * p.rescale) - mean) / std);
    for (let i = 0; i < pixels; i++) planes[c * pixels + i] = table[rgb[i * 3 + c] as number] as number;
  }
  return planes;
}
