/** Numbers for people; a unit stays on the line of its number. */
const SPACE = '\u00a0';

export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)}${SPACE}%`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)}${SPACE}kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)}${SPACE}MB`;
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}${SPACE}ms`;
  const seconds = Math.round(ms / 1000);
  return seconds < 90 ? `${seconds}${SPACE}s` : `${Math.floor(seconds / 60)}${SPACE}min ${seconds % 60}${SPACE}s`;
}

export function decibels(value: number): string {
  return `${value.toFixed(1)}${SPACE}dB`;
}

export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function significant(value: number, digits = 3): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(digits)));
}
