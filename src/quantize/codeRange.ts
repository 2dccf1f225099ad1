import { initialScale } from './quantizer.ts';

/** The codes that a uniform quantizer may use: -q..q-1, or without the lowest when the range is restricted. */
export interface CodeRange {
  readonly low: number;
  readonly high: number;
}

/** @param restricted leaves out code -q, so that codes and their negatives are both there */
export function codeRange(bits: number, restricted = false): CodeRange {
  const q = 2 ** (bits - 1);
  return { low: restricted ? 1 - q : -q, high: q - 1 };
}

/**
 * Scale and zero point that hold `range`. Symmetric: the larger magnitude ends the last code's own cell, zero point 0. Otherwise the
 * ends, moved to include 0, fall on the first and the last code, and `zero` is the code of 0 (as PyTorch's observers set them); without
 * negative values the first code is 1 - q, so that -zero is a code too.
 */
export function scaleOf(
  { low, high }: { readonly low: number; readonly high: number },
  codes: CodeRange,
  symmetric: boolean,
): { readonly scale: number; readonly zero: number } {
  const bits = Math.log2(codes.high + 1) + 1;
  if (symmetric) return { scale: initialScale(Math.max(-low, high), bits), zero: 0 };
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  const scale = Math.fround((to - from) / (codes.high - codes.low));
  if (scale === 0) return { scale: initialScale(0, bits), zero: 0 };
  const zero = Math.min(codes.low - Math.round(from / scale), codes.high);
  if (zero < -codes.high) return scaleOf({ low: from, high: to }, { ...codes, low: -codes.high }, false);
  return { scale, zero };
}
