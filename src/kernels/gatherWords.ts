import wgsl from '../../shaders/gather_words.wgsl?raw';
import { gridFor, prepare, type Bindable, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { checkRoom, codeWords } from './codes.ts';
import { requireSizes } from './sizes.ts';

export const gatherWordsKernel = {
  name: 'gather_words',
  wgsl,
  bindings: { source: 'read', indices: 'read', y: 'read_write' },
  params: { images: 'u32', source_rows: 'u32', rows: 'u32', words: 'u32', fill: 'u32', last_fill: 'u32' },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

/** Index of a row of `fill`. */
export const NO_ROW = 0xffffffff;

export interface GatherWordsShape {
  readonly images: number;
  /** Rows of an image of the source, and of y. */
  readonly sourceRows: number;
  readonly rows: number;
  /** Words of a row. */
  readonly words: number;
  /** The words of a row that is in no source, and the last of them; default 0. */
  readonly fill?: number;
  readonly lastFill?: number;
}

/** The words of a row of one code, and the last of them, whose bytes past `columns` are 0. */
export function fillWords(code: number, columns: number): { readonly fill: number; readonly lastFill: number } {
  const fill = Math.imul(code & 0xff, 0x01010101) >>> 0;
  const used = columns - 4 * (codeWords(columns) - 1);
  return { fill, lastFill: (fill & (0xffffffff >>> (8 * (4 - used)))) >>> 0 };
}

/**
 * Prepares a copy of rows into another order.
 *
 * @param buffers.source u32 `[images][sourceRows][words]`
 * @param buffers.indices u32 `[rows]`, below `sourceRows` or `NO_ROW`
 * @param buffers.y u32 `[images][rows][words]`
 * @throws RangeError for a bad size or a buffer too small
 */
export async function gatherWords(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof gatherWordsKernel.bindings, Bindable>>,
  { images, sourceRows, rows, words, fill = 0, lastFill = fill }: GatherWordsShape,
): Promise<Dispatch> {
  requireSizes({ images, sourceRows, rows, words });
  checkRoom('source', buffers.source, images * sourceRows * words);
  checkRoom('indices', buffers.indices, rows);
  const count = images * rows * words;
  checkRoom('y', buffers.y, count);
  const params = { images, source_rows: sourceRows, rows, words, fill, last_fill: lastFill };
  const grid = gridFor(device, count, gatherWordsKernel.overrides.WORKGROUP_SIZE);
  return prepare(device, gatherWordsKernel, buffers, params, grid);
}
