/** Work of two steps: the first gives the second. */
export type TwoSteps<Result> = () => Promise<() => Promise<Result>>;

/**
 * Runs the second step of each work, which the host computes, alongside the first step of the next, which the device does. Two first
 * steps never run at once, nor two second ones. When a step fails the one beside it is waited for, and nothing more is begun.
 *
 * @returns results in the order of `works`
 */
export async function pipelined<Result>(works: readonly TwoSteps<Result>[]): Promise<Result[]> {
  const results: Result[] = [];
  let second: (() => Promise<Result>) | undefined;
  for (const first of [...works, undefined]) {
    const [result, next] = await Promise.allSettled([second?.(), first?.()]);
    if (result.status === 'rejected') throw result.reason;
    if (next.status === 'rejected') throw next.reason;
    if (second) results.push(result.value as Result);
    second = next.value;
  }
  return results;
}
