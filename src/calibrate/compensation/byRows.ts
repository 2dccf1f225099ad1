import { TOGETHER } from './products.ts';
import type { WeightGrid } from './weightCodes.ts';

/** Weights that are computed in one go: a few milliseconds, for which a search that waits for this thread stands still. */
const WEIGHTS = 2 ** 11;

/**
 * Computes the rows of a weight part by part, each of whole groups of `TOGETHER`, and lets other work of this thread go on in between:
 * the search of another layer, which waits for the device most of the time.
 */
export async function byRows(grid: WeightGrid, compute: (part: WeightGrid, firstRow: number) => void): Promise<void> {
  const { weight, scales, rows, columns } = grid;
  const runs = scales.length / rows;
  const step = TOGETHER * Math.max(1, Math.floor(WEIGHTS / (TOGETHER * columns)));
  for (let first = 0; first < rows; first += step) {
    const end = Math.min(first + step, rows);
    const own = {
      weight: weight.subarray(first * columns, end * columns),
      scales: scales.subarray(first * runs, end * runs),
    };
    compute({ ...grid, ...own, rows: end - first }, first);
    await otherWork();
  }
}

/** Until all that waits for this thread had its turn: by a message, since timers wait a millisecond, or four in a page. */
function otherWork(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
