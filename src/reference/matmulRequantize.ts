import { codeByte, decodeCode } from './codes.ts';
import { clamp, dyadicRescale16, dyadicRescale8, saturatingAdd16 } from './fixedPoint.ts';

interface Rows {
  readonly offset: number;
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
}

/** The parameters of the wrapper `matmulRequantize`, with the same meanings and defaults. */
export interface MatmulRequantizeShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly planes?: 1 | 2;
  readonly columns: number;
  readonly aKind: 'uniform' | 'twin-softmax' | 'twin-gelu';
  readonly aBits: number;
  readonly shift: number;
  readonly a?: Rows;
  readonly b?: Rows;
  readonly bias?: { readonly offset: number; readonly headStride: number };
  readonly rescale?: { readonly offset: number; readonly headStride: number; readonly columnStride: number };
  readonly output: {
    readonly type: 'codes' | 'codes-by-rows' | 'int16' | 'int32';
    readonly view: Rows & { readonly columnStride: number };
  };
  readonly qmin?: number;
  readonly qmax?: number;
  readonly residual?: { readonly multiplier: number; readonly shift: number; readonly offset: number };
}

export interface MatmulRequantizeWords {
  readonly a: Uint32Array;
  readonly b: Uint32Array;
  readonly bias: Int32Array | null;
  readonly rescale: Uint32Array | null;
  readonly residual: Uint32Array | null;
  readonly y: Uint32Array;
}

/** Reference of `matmul_requantize.wgsl`: writes the words of its output view into `y`. Exact while |acc| < 2^31. */
export function matmulRequantizeReference(data: MatmulRequantizeWords, shape: MatmulRequantizeShape): void {
  const { images, heads, rows, columns } = shape;
  for (let image = 0; image < images; image++) {
    for (let head = 0; head < heads; head++) {
      const sums = product(data, shape, image, head);
      const values = sums.map((sum, i) => finish(data, shape, sum, image, head, Math.floor(i / columns), i % columns));
      write(values, data.y, shape.output, rows, columns, image, head);
    }
  }
}

/** `[rows][columns]` sums of products plus bias. */
function product({ a, b, bias }: MatmulRequantizeWords, shape: MatmulRequantizeShape, image: number, head: number) {
  const { heads, rows, depth, planes = 1, columns, aKind: kind, aBits: bits, shift } = shape;
  const words = Math.ceil(depth / 4);
  const stride = planes * words;
  const dense = { offset: 0, imageStride: heads * rows * stride, headStride: rows * stride, rowStride: stride };
  const viewA = shape.a ?? dense;
  const viewB = shape.b ?? { offset: 0, imageStride: 0, headStride: 0, rowStride: columns };
  const firstA = start(viewA, image, head);
  const firstB = start(viewB, image, head);
  const firstBias = (shape.bias?.offset ?? 0) + head * (shape.bias?.headStride ?? 0);
  const right = new Int32Array(columns * depth); // [columns][depth]
  for (let column = 0; column < columns; column++) {
    for (let d = 0; d < depth; d++) {
      right[column * depth + d] = (codeByte(b, firstB + column, viewB.rowStride, d) << 24) >> 24;
    }
  }
  const sums = new Int32Array(rows * columns);
  const left = new Int32Array(depth);
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < depth; d++) {
      left[d] = 0;
      for (let plane = 0; plane < planes; plane++) {
        const byte = codeByte(a, firstA + row * viewA.rowStride + plane * words, 1, d);
        left[d] = (left[d] as number) + decodeCode(byte, { kind, bits, shift });
      }
    }
    for (let column = 0; column < columns; column++) {
      let sum = bias ? (bias[firstBias + column] as number) : 0;
      for (let d = 0, at = column * depth; d < depth; d++, at++) {
        sum = (sum + Math.imul(left[d] as number, right[at] as number)) | 0;
      }
      sums[row * columns + column] = sum;
    }
  }
  return sums;
}

function start({ offset, imageStride, headStride }: Rows, image: number, head: number): number {
  return offset + image * imageStride + head * headStride;
}

/** One sum, rescaled and clamped as the output type asks. */
function finish(
  { rescale, residual }: MatmulRequantizeWords,
  shape: MatmulRequantizeShape,
  sum: number,
  image: number,
  head: number,
  row: number,
  column: number,
): number {
  const { output } = shape;
  if (output.type === 'int32' || !rescale) return sum;
  const at = shape.rescale ?? { offset: 0, headStride: 0, columnStride: 1 };
  const entry = at.offset + head * at.headStride + column * at.columnStride;
  const [multiplier, shift] = [rescale[2 * entry] as number, rescale[2 * entry + 1] as number];
  if (output.type !== 'int16') {
    return clamp(dyadicRescale8(sum, multiplier, shift), shape.qmin ?? -128, shape.qmax ?? 127);
  }
  let value = dyadicRescale16(sum, multiplier, shift);
  if (residual && shape.residual) {
    const first = start({ ...output.view, offset: shape.residual.offset }, image, head);
    const word = residual[first + row * output.view.rowStride + Math.floor(column / 2) * output.view.columnStride];
    const half = ((word as number) << (column % 2 === 0 ? 16 : 0)) >> 16;
    value = saturatingAdd16(value, dyadicRescale16(half, shape.residual.multiplier, shape.residual.shift));
  }
  return clamp(value, shape.qmin ?? -32768, shape.qmax ?? 32767);
}

/** Packs `[rows][columns]` values into the words of the view: elements of a word by row or by column, padding 0. */
function write(
  values: Int32Array,
  y: Uint32Array,
  { type, view }: MatmulRequantizeShape['output'],
  rows: number,
  columns: number,
  image: number,
  head: number,
): void {
  const bits = { codes: 8, 'codes-by-rows': 8, int16: 16, int32: 32 }[type];
  const perWord = 32 / bits;
  const [tall, wide] = type === 'codes-by-rows' ? [perWord, 1] : [1, perWord];
  for (let row = 0; row < rows; row += tall) {
    for (let column = 0; column < columns; column += wide) {
      let word = 0;
      for (let i = 0; i < perWord; i++) {
        const [r, c] = tall > 1 ? [row + i, column] : [row, column + i];
        if (r >= rows || c >= columns) continue;
        const value = values[r * columns + c] as number;
        word |= (bits === 32 ? value : value & (2 ** bits - 1)) << (bits * i);
      }
      y[start(view, image, head) + (row / tall) * view.rowStride + (column / wide) * view.columnStride] = word;
    }
  }
}
