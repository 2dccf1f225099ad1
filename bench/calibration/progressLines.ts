import type { Progress } from '../../src/calibrate/progress.ts';

const BETWEEN_LINES_MS = 30_000;

/** A line on stderr with the time of day, which leaves stdout to the tables. */
export function note(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

/** Tells how far a calibration is, a line every half minute. */
export function progressLines(what: string): (step: Progress) => void {
  let last = performance.now();
  return ({ stage, done, total, remainingMs }) => {
    if (performance.now() - last < BETWEEN_LINES_MS) return;
    last = performance.now();
    const left = remainingMs === undefined ? '' : `, about ${(remainingMs / 1000).toFixed(0)} s left`;
    note(`${what}: ${((100 * done) / total).toFixed(0)} %, ${stage}${left}`);
  };
}
