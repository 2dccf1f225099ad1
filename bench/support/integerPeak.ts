import { spawnSync } from 'node:child_process';
import path from 'node:path';

/** The fastest integer product of an adapter at the layers of DeiT-Tiny. */
export interface IntegerPeak {
  readonly gigaMacsPerSecond: number;
  readonly kernel: string;
  readonly layer: string;
}

interface KernelLine {
  readonly kernel: string;
  readonly layer: string;
  /** Absent from lines of float products. */
  readonly codes?: string;
  /** Two operations a multiply-accumulate, 10^9 a second. */
  readonly gops: number;
}

/**
 * Measures it with the bench of the kernels, in a process of its own on the same driver.
 *
 * @throws Error when that bench fails
 */
export function measureIntegerPeak(): IntegerPeak {
  const script = path.join(import.meta.dirname, 'kernels.js'); // beside the benches when this is built
  const { status, stdout } = spawnSync(process.execPath, [script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the bench of the kernels ended with ${status}`);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as KernelLine)
    .filter(({ codes }) => codes !== undefined);
  const best = lines.reduce((a, b) => (b.gops > a.gops ? b : a));
  return { gigaMacsPerSecond: best.gops / 2, kernel: best.kernel, layer: best.layer };
}
