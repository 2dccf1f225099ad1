/** Times of each of `runs` in ms, ascending, the runs taken in turns so that load on the machine meets all of them alike. */
export async function alternate(
  runs: readonly (() => Promise<void>)[],
  { least, most, ms }: { readonly least: number; readonly most: number; readonly ms: number },
): Promise<number[][]> {
  for (const run of runs) await run(); // compiles
  const times = runs.map((): number[] => []);
  const start = performance.now();
  for (let round = 0; round < most && (round < least || performance.now() - start < ms); round++) {
    for (const [i, run] of runs.entries()) {
      const before = performance.now();
      await run();
      times[i]?.push(performance.now() - before);
    }
  }
  for (const list of times) list.sort((a, b) => a - b);
  return times;
}

export function medianOf(ascending: readonly number[]): number {
  const middle = ascending.length >> 1;
  const upper = ascending[middle] as number;
  return ascending.length % 2 === 1 ? upper : (upper + (ascending[middle - 1] as number)) / 2;
}
