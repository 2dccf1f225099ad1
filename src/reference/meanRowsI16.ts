import { clamp, dyadicRescale16, dyadicRescale8 } from './fixedPoint.ts';

export interface MeanRowsI16Shape {
  readonly images: number;
  readonly features: number;
  readonly first: number;
  readonly bias: number;
  readonly multiplier: number;
  readonly shift: number;
  readonly output: 'codes' | 'int16';
  readonly qmin?: number;
  readonly qmax?: number;
}

/** Reference of `mean_rows_i16.wgsl` on values: x `[images][rows][features]`, y `[images][features]`. */
export function meanRowsI16Reference(x: Int16Array, shape: MeanRowsI16Shape): Int16Array<ArrayBuffer> {
  const { images, features, first, bias, multiplier, shift, output, qmin = -128, qmax = 127 } = shape;
  const perImage = x.length / images;
  return Int16Array.from({ length: images * features }, (_, i) => {
    const image = Math.floor(i / features);
    let sum = bias;
    for (let at = first * features + (i % features); at < perImage; at += features) {
      sum += x[image * perImage + at] as number;
    }
    if (output === 'int16') return clamp(dyadicRescale16(sum, multiplier, shift), -32768, 32767);
    return clamp(dyadicRescale8(sum, multiplier, shift), qmin, qmax);
  });
}
