/** What long work tells its caller; `done` and `total` are in units of work, not of time. */
export interface Progress {
  /** What is under way, for a person: `forward`, `blocks.3`, ... */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** Estimate from the rate so far; absent before there is one. */
  readonly remainingMs?: number;
}

export interface Control {
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** Counts work done against a total known beforehand and estimates the time that is left. */
export class WorkMeter {
  readonly #control: Control;
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;
  #skipped = 0;

  constructor(control: Control, total: number) {
    this.#control = control;
    this.#total = total;
  }

  /** Adds finished work, tells the caller, and stops here when the caller has cancelled. */
  advance(stage: string, work: number): void {
    this.#control.signal?.throwIfAborted();
    this.#done += work;
    this.#report(stage);
  }

  /** Work that an earlier run had finished: it counts as done but says nothing about the rate. */
  skip(stage: string, work: number): void {
    this.#skipped += work;
    this.#done += work;
    this.#report(stage);
  }

  #report(stage: string): void {
    const timed = this.#done - this.#skipped;
    const elapsed = performance.now() - this.#started;
    const left = Math.max(0, this.#total - this.#done);
    const estimate = timed > 0 ? { remainingMs: (elapsed / timed) * left } : {};
    this.#control.onProgress?.({ stage, done: Math.min(this.#done, this.#total), total: this.#total, ...estimate });
  }
}
