import type { LayerRecipe } from '../../src/calibrate/recipe.ts';
import { isIntegerProduct } from '../../src/quantize/floatQuantizer.ts';
import type { ProductGeometry, StridedMatrix } from '../../src/quantize/geometry.ts';
import type { ActivationQuantizer, UniformQuantizer } from '../../src/quantize/quantizer.ts';
import { roundHalfEven } from '../../src/reference/codes.ts';

/** Host copies of what a layer read and wrote; `a` holds integers when the operand is pixels. */
export interface HostCapture {
  readonly images: number;
  readonly a: ArrayLike<number>;
  /** The right operand of an attention product, or the weight `[columns, depth]`. */
  readonly b: ArrayLike<number>;
  readonly bias: ArrayLike<number> | null;
  readonly output: ArrayLike<number>;
  readonly gradient: ArrayLike<number>;
}

/**
 * The mean weighted squared error of a quantized layer, from the definitions alone: every value is quantized and dequantized
 * by its formula and multiplied in double; no code, plane or shift appears. Independent of the kernels and of their twins.
 */
export function doubleLayerScore(layer: LayerRecipe, geometry: ProductGeometry, capture: HostCapture): number {
  if (!isIntegerProduct(layer)) throw new Error(`${layer.name} has no product of integers`);
  const { heads, rows, depth, columns } = geometry;
  const at = (view: StridedMatrix, image: number, head: number, row: number, column: number) =>
    view.offset + image * view.imageStride + head * view.headStride + row * view.rowStride + column * view.columnStride;
  let errors = 0;
  let squares = 0;
  let count = 0;
  for (let image = 0; image < capture.images; image++) {
    for (let head = 0; head < heads; head++) {
      const right = new Float64Array(depth * columns);
      for (let k = 0; k < depth; k++) {
        for (let n = 0; n < columns; n++) {
          const value = geometry.b ? capture.b[at(geometry.b, image, head, k, n)] : capture.b[n * depth + k];
          const group = geometry.b ? head : n;
          right[k * columns + n] = uniform(value as number, layer.b, group, geometry.b ? heads : columns);
        }
      }
      for (let row = 0; row < rows; row++) {
        const left = Float64Array.from({ length: depth }, (_, k) =>
          dequantized(capture.a[at(geometry.a, image, head, row, k)] as number, layer.a, head, heads),
        );
        for (let n = 0; n < columns; n++) {
          let product = capture.bias ? (capture.bias[n] as number) : 0;
          for (let k = 0; k < depth; k++) product += (left[k] as number) * (right[k * columns + n] as number);
          const place = at(geometry.output, image, head, row, n);
          const g = capture.gradient[place] as number;
          errors += (g * ((capture.output[place] as number) - product)) ** 2;
          squares += g * g;
          count++;
        }
      }
    }
  }
  return errors / count / (squares / count);
}

/** The nearest value that a quantizer can represent, by its definition. */
function dequantized(x: number, quantizer: ActivationQuantizer, group: number, groups: number): number {
  switch (quantizer.type) {
    case 'pixels':
      return x;
    case 'uniform':
      return uniform(x, quantizer, group, groups);
    case 'twin-softmax': {
      const largest = 2 ** (quantizer.bits - 1) - 1;
      const coarse = 2 ** -(quantizer.bits - 1);
      const values = [coarse / 2 ** quantizer.shift, coarse].map((s) => Math.min(roundHalfEven(x / s), largest) * s);
      const [fineValue, coarseValue] = values as [number, number];
      if (quantizer.boundary === 'published') return x < 2 ** -quantizer.shift ? fineValue : coarseValue;
      return Math.abs(x - fineValue) < Math.abs(x - coarseValue) ? fineValue : coarseValue;
    }
    case 'levels': {
      const { step, levels } = quantizer;
      // from the top: of two levels equally near the upper one
      return (
        levels.toReversed().reduce((best, level) => {
          return Math.abs(x - level * step) < Math.abs(x - best * step) ? level : best;
        }) * step
      );
    }
    case 'twin-gelu': {
      const largest = 2 ** (quantizer.bits - 1) - 1;
      const scale = x < 0 ? quantizer.scaleR2 / 2 ** quantizer.shift : quantizer.scaleR2;
      return Math.sign(x) * Math.min(roundHalfEven(Math.fround(Math.abs(x) * Math.fround(1 / scale))), largest) * scale;
    }
  }
}

function uniform(x: number, { bits, scales }: UniformQuantizer, group: number, groups: number): number {
  const scale = scales[Math.floor((group * scales.length) / groups)] as number;
  const q = 2 ** (bits - 1);
  const code = roundHalfEven(Math.fround(x * Math.fround(1 / scale)));
  return Math.min(Math.max(code, -q), q - 1) * scale;
}
