import type { Bindable } from '../gpu/kernel.ts';

/** Facts shared by the kernels that make and multiply packed 8-bit codes, and the checks of their arguments. */

/** How a code of operand A stands for an integer; the names are those of the recipe's quantizers. */
export type CodeKind = 'uniform' | 'twin-softmax' | 'twin-gelu';

/** `A_KIND` of the shaders. */
export const CODE_KIND: Readonly<Record<CodeKind, number>> = { uniform: 0, 'twin-softmax': 1, 'twin-gelu': 2 };

/** Element (image, head, row, column) is at offset + image*imageStride + head*headStride + row*rowStride + column, in elements. */
export interface RowView {
  readonly offset: number;
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
}

/** u32 words of `depth` codes: four a word, padded with zeros. */
export function codeWords(depth: number): number {
  return Math.ceil(depth / 4);
}

export interface AccumulatorShape {
  readonly kind: CodeKind;
  /** Bits of operand A, flag included. */
  readonly bits: number;
  /** Twin shift; 0 for uniform codes. */
  readonly shift: number;
  readonly depth: number;
  /** Bits of operand B. */
  readonly bBits: number;
  /** Largest sum of |integers| of operand A along the depth, where it is known to be less than codes allow. */
  readonly reach?: number | undefined;
}

/**
 * Largest |acc| that a product of codes can reach; it must stay below 2^31 (PTQ4ViT, section 3.2, bit-shift alignment). Only the
 * end counts: sums on the way to it may wrap, for i32 addition wraps back.
 */
export function accumulatorBound({ kind, bits, shift, depth, bBits, reach }: AccumulatorShape): number {
  const operandA = kind === 'uniform' ? 2 ** (bits - 1) : 2 ** shift * (2 ** (bits - 1) - 1);
  return (reach ?? operandA * depth) * 2 ** (bBits - 1);
}

/** Largest twin shift whose products fit an i32 accumulator; -1 when none does. 9 / 7 / 5 at depth 197 / 768 / 3072, 8 x 8 bits. */
export function largestTwinShift(bits: number, depth: number, bBits: number): number {
  let shift = -1;
  while (shift < 31 && accumulatorBound({ kind: 'twin-softmax', bits, shift: shift + 1, depth, bBits }) < 2 ** 31)
    shift++;
  return shift;
}

/** Lanes of a workgroup of the code products: 4 columns each; the count that pads `columns` less, 32 on a draw. */
export function lanesFor(columns: number): 16 | 32 {
  return Math.ceil(columns / 64) * 64 < Math.ceil(columns / 128) * 128 ? 16 : 32;
}

/** Throws unless every value is an integer of at least `least`. */
export function checkIntegers(values: Readonly<Record<string, number>>, least: number): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value) || value < least) {
      throw new RangeError(`${name} must be an integer of at least ${least}, got ${value}`);
    }
  }
}

export function checkBits(bits: number): void {
  if (!Number.isInteger(bits) || bits < 2 || bits > 8)
    throw new RangeError(`bits must be an integer in 2..8, got ${bits}`);
}

/** Throws unless `buffer` holds `elements` of 4 bytes: a read past its end would be hidden by robust access. */
export function checkRoom(name: string, buffer: Bindable, elements: number): void {
  if (buffer.size < 4 * elements) {
    throw new RangeError(`${name} needs ${4 * elements} bytes, its buffer has ${buffer.size}`);
  }
}

/** Elements up to the last one that a view reaches. */
export function viewExtent(view: RowView, images: number, heads: number, rows: number, columns: number): number {
  const { offset, imageStride, headStride, rowStride } = view;
  return offset + (images - 1) * imageStride + (heads - 1) * headStride + (rows - 1) * rowStride + columns;
}
