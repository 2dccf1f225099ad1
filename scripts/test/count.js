/**
 * What this reads of vitest's JSON report.
 *
 * @typedef {object} Report
 * @property {{ name: string, status: string, message?: string, assertionResults: { fullName: string, status: string }[] }[]} testResults
 */

/**
 * The outcome of a vitest run. Only a test that ran and passed has passed: a skipped test, a file that could not be loaded or holds no
 * test, an error outside any test and a run without a report are failures.
 *
 * @param {Report | undefined} report
 * @param {boolean} exitedWell vitest ended with 0
 * @returns {{ passed: number, failures: string[] }}
 */
export function countTests(report, exitedWell) {
  if (!report) return { passed: 0, failures: ['vitest ended without a report'] };
  let passed = 0;
  const failures = [];
  for (const { name, status, message, assertionResults } of report.testResults) {
    const before = failures.length;
    for (const test of assertionResults) {
      if (test.status === 'passed') passed++;
      else failures.push(`${name}: ${test.fullName}${test.status === 'failed' ? '' : ` (${test.status}, not run)`}`);
    }
    const silent = failures.length === before;
    if (assertionResults.length === 0) failures.push(`${name}: no test ran. ${message ?? ''}`.trim());
    else if (status === 'failed' && silent) failures.push(`${name}: failed outside its tests. ${message ?? ''}`.trim());
  }
  if (!exitedWell && failures.length === 0) failures.push('vitest: an error outside any test, see above');
  return { passed, failures };
}
