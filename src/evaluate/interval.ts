/** Standard normal quantile of 0.975. */
const Z95 = 1.959963984540054;

/**
 * Wilson's 95 % score interval of a proportion: both solutions p of `(p - hits/total)^2 = z^2 p (1 - p) / total`.
 * Stays inside [0, 1] and is honest at 0 and 1 hits missing, where the normal interval has no width.
 *
 * @throws RangeError when `hits` is not within 0..`total` or `total` is 0
 */
export function wilsonInterval(hits: number, total: number): readonly [low: number, high: number] {
  if (!(total > 0 && hits >= 0 && hits <= total)) throw new RangeError(`${hits} hits of ${total} are no proportion`);
  const share = hits / total;
  const z2 = Z95 ** 2 / total;
  const centre = (share + z2 / 2) / (1 + z2);
  const half = (Z95 * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total))) / (1 + z2);
  return [hits === 0 ? 0 : centre - half, hits === total ? 1 : centre + half];
}
