import type { Interval, Moments } from './distribution.ts';

/**
 * The range of the least expected squared error if the values were Gaussian or Laplacian around their mean, whichever of the two is
 * likelier (ACIQ: Banner et al., 2019, section 3); never beyond `whole`.
 */
export function aciqRange({ mean, variance, deviation }: Moments, bits: number, whole: Interval): Interval {
  // Largest log-likelihoods a value: -ln(2 b) - 1 and -ln(2 pi e sigma^2) / 2.
  const laplacian = 2 * Math.E * deviation < Math.sqrt(2 * Math.PI * Math.E * variance);
  const reach = laplacian ? deviation * laplaceClip(bits) : Math.sqrt(variance) * gaussClip(bits);
  return { low: Math.max(whole.low, mean - reach), high: Math.min(whole.high, mean + reach) };
}

/** The clipping of a Laplacian in units of its b: the root of `c e^c = 3 4^bits` (equation 6 of the paper for b = 1). */
export function laplaceClip(bits: number): number {
  return root((c) => c * Math.exp(c) - 3 * 4 ** bits);
}

/** The clipping of a Gaussian in units of its deviation: where the derivative of the expected squared error is zero (section 3.2). */
export function gaussClip(bits: number): number {
  // d/dc of c^2 / (3 4^bits) + 2 * integral from c of (x - c)^2 phi(x)
  return root((c) => (2 * c) / (3 * 4 ** bits) - 4 * (density(c) - c * tail(c)));
}

/** Root of a function that rises through zero once in 0.1 ... 40. */
function root(f: (x: number) => number): number {
  let [low, high] = [0.1, 40];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (f(middle) < 0) low = middle;
    else high = middle;
  }
  return low;
}

function density(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** Probability that a standard normal value passes x > 0: the continued fraction of Mills' ratio from 3 on, a series below. */
function tail(x: number): number {
  if (x > 3) {
    let fraction = x;
    for (let k = 60; k >= 1; k--) fraction = x + k / fraction;
    return density(x) / fraction;
  }
  let term = x;
  let sum = x;
  for (let k = 1; k < 60; k++) {
    term *= (x * x) / (2 * k + 1);
    sum += term;
  }
  return 0.5 - density(x) * sum;
}
