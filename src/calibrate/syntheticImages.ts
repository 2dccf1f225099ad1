import type { Gpu } from '../gpu/device.ts';
import { BufferPool } from '../gpu/buffers.ts';
import { sha256 } from '../io/sha256.ts';
import { ParameterStore } from '../model/execute.ts';
import type { Unit } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import { chunksOf, imagesPerChunk, type CalibrationImage } from './imageChunks.ts';
import { WorkMeter, type Control } from './progress.ts';
import { philox2x32 } from './random.ts';
import { forwardUnits } from './sweep.ts';

/** Images drawn for each that is kept. */
const DRAWN_PER_IMAGE = 4;
/** Bins of cosine similarities in -1..1. */
const BINS = 64;
/** Largest shape and smallest, as shares of the image's side; sizes between them follow the cube law of natural scenes. */
const LARGEST = 0.5;
const SMALLEST = 0.05;
/** Most shapes of an image, and how far the channels of a colour lie apart. */
const SHAPES = 120;
const CHROMA = 90;

/**
 * Images for a calibration without photos: dead leaves (shapes of all sizes that cover each other, the simplest scene with the
 * statistics of photographs; Lee, Mumford and Huang, 2001) with soft noise, of which those are kept that the network sees most in:
 * the entropy of the cosine similarities of their patches before the head is largest, the measure of PSAQ-ViT (Li et al. 2022),
 * here by selection instead of optimization. Deterministic in model, adapter and seed.
 */
export async function syntheticImages(
  gpu: Gpu,
  model: Model,
  count: number,
  seed: number,
  control: Control = {},
): Promise<CalibrationImage[]> {
  const { imageSize } = model.config;
  const drawn: CalibrationImage[] = [];
  for (let i = 0; i < DRAWN_PER_IMAGE * count; i++) {
    const rgb = deadLeaves(imageSize, [seed, i]);
    drawn.push({ file: `synthetic-${String(i).padStart(4, '0')}`, sha256: await sha256(rgb), rgb });
  }
  const entropies = await patchEntropies(gpu, model, drawn, control);
  return largest(entropies, count).map((i) => drawn[i] as CalibrationImage);
}

/** Places of the `count` largest values, in ascending order; the first of equals. */
export function largest(values: readonly number[], count: number): number[] {
  return [...values.keys()]
    .sort((a, b) => (values[b] as number) - (values[a] as number) || a - b)
    .slice(0, count)
    .sort((a, b) => a - b);
}

/** Of every image, the entropy in nats of the similarities of its patches in the input of the head. */
async function patchEntropies(
  gpu: Gpu,
  model: Model,
  images: readonly CalibrationImage[],
  control: Control,
): Promise<number[]> {
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const chunks = chunksOf(images, imagesPerChunk(model, images.length));
  const walk = { context: { device: gpu.device, pool, parameters }, model, chunks };
  const { units } = model.network;
  const meter = new WorkMeter(control, units.length * images.length);
  const inputs = await forwardUnits(walk, (_unit, _tensors, { images: done }) => {
    meter.advance('drawing synthetic images', done);
    return Promise.resolve();
  });
  const head = inputs[units.length - 1] as Float32Array[];
  const features = featuresOf(units.at(-1) as Unit);
  return chunks.flatMap((chunk, c) => {
    const tensor = head[c] as Float32Array;
    const size = tensor.length / chunk.length;
    return chunk.map((_image, i) => similarityEntropy(tensor.subarray(i * size, (i + 1) * size), features));
  });
}

/** Of a token of the unit's input. */
function featuresOf({ name, input, operations }: Unit): number {
  const reader = operations.find((operation) => 'features' in operation && operation.input === input);
  if (!reader || !('features' in reader)) throw new Error(`nothing in ${name} reads tokens`);
  return reader.features;
}

/** Entropy of the histogram of the cosines between all pairs of rows. */
export function similarityEntropy(tokens: Float32Array, features: number): number {
  const rows = tokens.length / features;
  const unit = Float64Array.from(tokens);
  for (let row = 0; row < rows; row++) {
    const values = unit.subarray(row * features, (row + 1) * features);
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1;
    values.forEach((value, i) => (values[i] = value / norm));
  }
  const bins = new Float64Array(BINS);
  for (let a = 0; a < rows; a++) {
    for (let b = a + 1; b < rows; b++) {
      let cosine = 0;
      for (let i = 0; i < features; i++) {
        cosine += (unit[a * features + i] as number) * (unit[b * features + i] as number);
      }
      const bin = Math.min(BINS - 1, Math.max(0, Math.floor(((cosine + 1) / 2) * BINS)));
      bins[bin] = (bins[bin] as number) + 1;
    }
  }
  const pairs = (rows * (rows - 1)) / 2;
  return bins.reduce((sum, n) => (n > 0 ? sum - (n / pairs) * Math.log(n / pairs) : sum), 0);
}

/** One image, uint8 `[size, size, 3]`: discs and boxes over each other, smallest on top, with a gradient of colour and noise each. */
export function deadLeaves(size: number, key: readonly [seed: number, image: number]): Uint8Array {
  const random = uniformNumbers(key);
  const rgb = new Float64Array(3 * size * size);
  const colour = () => {
    const light = 255 * random();
    return [0, 1, 2].map(() => light + CHROMA * (random() - 0.5));
  };
  const sizes = Array.from({ length: 8 + Math.floor((SHAPES - 8) * random()) }, () => {
    const [low, high] = [LARGEST ** -2, SMALLEST ** -2];
    return 1 / Math.sqrt(low + random() * (high - low));
  }).sort((a, b) => b - a);
  paint(rgb, size, { x: 0, y: 0, reach: 2 * size, round: false }, colour(), colour(), random);
  for (const share of sizes) {
    const shape = { x: size * random(), y: size * random(), reach: share * size, round: random() < 0.5 };
    paint(rgb, size, shape, colour(), colour(), random);
  }
  return Uint8Array.from(rgb, (value) => Math.max(0, Math.min(255, Math.round(value))));
}

function paint(
  rgb: Float64Array,
  size: number,
  { x, y, reach, round }: { x: number; y: number; reach: number; round: boolean },
  from: readonly number[],
  to: readonly number[],
  random: () => number,
): void {
  const noise = 24 * random();
  const slant = random();
  const [top, bottom] = [Math.max(0, Math.floor(y - reach)), Math.min(size, Math.ceil(y + reach))];
  const [left, right] = [Math.max(0, Math.floor(x - reach)), Math.min(size, Math.ceil(x + reach))];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const [dx, dy] = [(column - x) / reach, (row - y) / reach];
      if (round && dx * dx + dy * dy > 1) continue;
      const place = (slant * dx + (1 - slant) * dy + 1) / 2;
      const grain = noise * (random() - 0.5);
      for (let c = 0; c < 3; c++) {
        rgb[3 * (row * size + column) + c] =
          (from[c] as number) + place * ((to[c] as number) - (from[c] as number)) + grain;
      }
    }
  }
}

/** Numbers in 0..1, the same on every machine: mulberry32, whose state begins at a word of the counter-based generator. */
function uniformNumbers([seed, image]: readonly [number, number]): () => number {
  let [state] = philox2x32([0, image], seed);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
