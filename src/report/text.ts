import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import { shortNumber } from './charts/chart.ts';
import type { OperandView } from './data.ts';

/** `12.3 MB`, decimal units. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const unit = bytes < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return unit === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** unit).toFixed(1)} ${units[unit]}`;
}

/** `12.3 s`, `7 min 27 s`. */
export function secondsText(seconds: number): string {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function percentText(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A small share: `0`, `< 0.01 %`, `1.23 %`. */
export function shareText(share: number): string {
  if (share === 0) return '0';
  return share < 1e-4 ? '< 0.01 %' : percentText(share, 2);
}

const TYPES: Readonly<Record<(LeftQuantizer | RightQuantizer)['type'], string>> = {
  uniform: 'uniform',
  pixels: 'pixels',
  'twin-softmax': 'twin',
  'twin-gelu': 'twin',
  levels: 'levels',
  block: 'blocks',
  'per-token': 'per token',
  'published-softmax': 'published twin',
  'published-gelu': 'published twin',
};

/** `8 bits, twin, shift 4`. */
export function quantizerText({ quantizer, shift }: OperandView): string {
  return `${quantizer.bits} bits, ${TYPES[quantizer.type]}${shift === null ? '' : `, shift ${shift}`}`;
}

/** `0.0123`, or the middle and the ends of many. */
export function scalesText({ scales }: OperandView): string {
  if (scales === null) return '';
  const { count, low, middle, high } = scales;
  return count === 1
    ? shortNumber(middle)
    : `${shortNumber(middle)} (${shortNumber(low)} to ${shortNumber(high)}, ${count})`;
}
