import { formatDuration } from './text.ts';

/** A step of long work: `done` of `total` parts of `stage`. */
export interface ProgressStep {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** What to show of both besides, such as bytes. */
  readonly detail?: string;
  /** What the worker itself expects for the rest; without it the rest of the stage is extrapolated. */
  readonly remainingMs?: number;
}

/** Where progress goes: stderr, or a test's stand-in. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Progress {
  report(step: ProgressStep): void;
  /** Prints a whole line without breaking the one that is being redrawn. */
  note(line: string): void;
  /** Takes the drawn line away. */
  clear(): void;
}

const REDRAW_MS = 100;
const BAR_CELLS = 24;
/** Remaining time is shown after this much work: before, it is a guess. */
const SETTLED_MS = 1000;
const CLEAR_LINE = '\r\x1b[K';

/**
 * Progress on a terminal is one line that is redrawn: stage, bar, percentage, remaining time. Elsewhere (a file, a pipe)
 * it is one line when a stage begins.
 */
export function createProgress(stream: ProgressStream, now: () => number = () => performance.now()): Progress {
  const terminal = stream.isTTY === true;
  let stage: string | undefined;
  let stageStart = 0;
  let timed = false;
  let drawnAt = -Infinity;
  let drawn = false;
  const clear = () => {
    if (drawn) stream.write(CLEAR_LINE);
    drawn = false;
  };
  return {
    report(step) {
      const time = now();
      const isNew = step.stage !== stage;
      // stages of a worker that tells the remaining time of all its work are one stage to the clock
      if (isNew && (step.remainingMs === undefined || !timed)) stageStart = time;
      timed = step.remainingMs !== undefined;
      stage = step.stage;
      if (!terminal) {
        if (isNew) stream.write(`${step.stage}\n`);
        return;
      }
      if (!isNew && step.done < step.total && time - drawnAt < REDRAW_MS) return;
      drawnAt = time;
      drawn = true;
      stream.write(CLEAR_LINE + progressLine(step, time - stageStart).slice(0, (stream.columns || 80) - 1));
    },
    note(line) {
      clear();
      stream.write(`${line}\n`);
    },
    clear,
  };
}

function progressLine(step: ProgressStep, elapsedMs: number): string {
  const fraction = step.total > 0 ? Math.min(1, step.done / step.total) : 0;
  const filled = Math.floor(BAR_CELLS * fraction);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`;
  const percent = `${Math.floor(100 * fraction)} %`.padStart(5);
  const line = `${bar} ${percent}  ${step.stage}${step.detail === undefined ? '' : `  ${step.detail}`}`;
  if (elapsedMs < SETTLED_MS || fraction === 0 || fraction === 1) return line;
  return `${line}  ${formatRemaining(step.remainingMs ?? (elapsedMs * (1 - fraction)) / fraction)} left`;
}

function formatRemaining(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${Math.max(1, seconds)} s` : formatDuration(1000 * seconds);
}
