/** The error function to double precision: its power series near zero, a continued fraction of erfc beyond. */
export function erfReference(x: number): number {
  const t = Math.abs(x);
  if (t > 6) return Math.sign(x);
  if (t > 2.5) return Math.sign(x) * (1 - erfcFraction(t));
  let term = x; // (-1)^n x^(2n+1) / n!
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** erfc(t) = exp(-t^2) / sqrt(pi) / (t + (1/2) / (t + (2/2) / (t + (3/2) / (t + ...)))), t > 2. */
function erfcFraction(t: number): number {
  let tail = t;
  for (let n = 100; n >= 1; n--) tail = t + n / 2 / tail;
  return Math.exp(-t * t) / Math.sqrt(Math.PI) / tail;
}

/** Reference of `gelu_f32.wgsl` in double: `x * Phi(x)`. */
export function geluF32Reference(x: Float32Array): Float32Array {
  return x.map((v) => (v * (1 + erfReference(v * Math.SQRT1_2))) / 2);
}
