import { erfReference } from './geluF32.ts';

/** Reference of `gelu_backward_f32.wgsl` in double: `dy * (Phi(x) + x * phi(x))`. */
export function geluBackwardF32Reference(x: Float32Array, dy: Float32Array): Float32Array {
  return x.map((v, i) => {
    const distribution = (1 + erfReference(v * Math.SQRT1_2)) / 2;
    const density = Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI);
    return (dy[i] as number) * (distribution + v * density);
  });
}
