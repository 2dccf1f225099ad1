/** The Node version that this program needs, as in `engines` of package.json. */
export const NEEDED_NODE = '20.19.0';

/**
 * Order of two versions such as `v20.19.0` by their numbers; missing parts count as 0, a suffix such as `-nightly` is ignored.
 *
 * @param {string} a
 * @param {string} b
 * @returns {number} negative when `a` is older, 0 when equal, positive when newer
 */
export function compareVersions(a, b) {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * What is wrong with the running Node, or undefined.
 *
 * @param {string} version as in `process.version`
 * @returns {string | undefined}
 */
export function nodeProblem(version) {
  if (compareVersions(version, NEEDED_NODE) >= 0) return undefined;
  return `Node ${NEEDED_NODE} or newer is needed, this is ${version}. Install it from https://nodejs.org or with your system's packages.`;
}

/** @param {string} version */
function numbers(version) {
  return version
    .replace(/^v/, '')
    .replace(/[-+].*$/, '')
    .split('.')
    .map((part) => Number.parseInt(part, 10) || 0);
}
