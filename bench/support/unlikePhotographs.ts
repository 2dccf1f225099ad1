import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { sha256 } from '../../src/io/sha256.ts';

/** Generated images that look like no photograph, the same on every machine. */
export const UNLIKE_PHOTOGRAPHS = ['drawings', 'noise'] as const;
export type Unlike = (typeof UNLIKE_PHOTOGRAPHS)[number];

const INK = 24;
const MOST_SHAPES = 14;

/** `count` images of a kind, uint8 `[size, size, 3]` each. */
export function unlikePhotographs(kind: Unlike, count: number, size: number): Promise<CalibrationImage[]> {
  const images = Array.from({ length: count }, async (_, i) => {
    const rgb = kind === 'noise' ? noise(size, randomNumbers(i)) : drawing(size, randomNumbers(i));
    return { file: `${kind}-${String(i).padStart(3, '0')}`, sha256: await sha256(rgb), rgb };
  });
  return Promise.all(images);
}

/** Circles, boxes and lines in ink on white paper, some of them filled with one colour. */
function drawing(size: number, random: () => number): Uint8Array {
  const rgb = new Uint8Array(3 * size * size).fill(255);
  const shapes = 4 + Math.floor((MOST_SHAPES - 4) * random());
  for (let shape = 0; shape < shapes; shape++) {
    const distance = shapeDistance(size, random);
    const stroke = 1 + 2 * random();
    const fill = random() < 0.4 ? [0, 1, 2].map(() => Math.floor(256 * random())) : undefined;
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const away = distance(x, y);
        const colour = Math.abs(away) <= stroke ? [INK, INK, INK] : away < 0 ? fill : undefined;
        if (colour) rgb.set(colour, 3 * (y * size + x));
      }
    }
  }
  return rgb;
}

/** Pixels from the outline of a random shape; below 0 inside it. */
function shapeDistance(size: number, random: () => number): (x: number, y: number) => number {
  const [cx, cy] = [size * random(), size * random()];
  const [width, height] = [size * (0.05 + 0.3 * random()), size * (0.05 + 0.3 * random())];
  const kind = random();
  if (kind < 0.35) return (x, y) => Math.hypot(x - cx, y - cy) - width;
  if (kind < 0.7) return (x, y) => Math.max(Math.abs(x - cx) - width, Math.abs(y - cy) - height);
  const angle = 2 * Math.PI * random();
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => {
    const along = Math.max(-width, Math.min(width, (x - cx) * dx + (y - cy) * dy));
    return Math.hypot(x - cx - along * dx, y - cy - along * dy);
  };
}

function noise(size: number, random: () => number): Uint8Array {
  return Uint8Array.from({ length: 3 * size * size }, () => Math.floor(256 * random()));
}

/** Numbers in 0..1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
