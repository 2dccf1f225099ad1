/**
 * What the reporter says of a vitest run.
 *
 * @typedef {object} Report
 * @property {number} errors outside every file
 * @property {{ project: string, file: string, failed: boolean, tests: { name: string, state: string }[] }[]} files
 */

/**
 * The outcome of a vitest run. Only a test that ran and passed has passed: a skipped test, a file that could not be loaded or holds no
 * test, a project without tests, an error outside every test and a run without a report are failures.
 *
 * @param {Report | undefined} report
 * @param {readonly string[]} projects that ran
 * @param {boolean} exitedWell vitest ended with 0
 * @returns {{ passed: Record<string, number>, failures: string[] }} passed tests of each project
 */
export function countTests(report, projects, exitedWell) {
  const passed = Object.fromEntries(projects.map((project) => [project, 0]));
  if (!report) return { passed, failures: ['vitest ended without a report'] };
  const failures = [];
  for (const { project, file, failed, tests } of report.files) {
    const where = `${project} ${file}`;
    const bad = tests.filter(({ state }) => state !== 'passed');
    for (const { name, state } of bad)
      failures.push(`${where} > ${name}${state === 'failed' ? '' : ` (${state}, not run)`}`);
    passed[project] = (passed[project] ?? 0) + tests.length - bad.length;
    if (tests.length === 0) failures.push(`${where}: no test ran`);
    else if (failed && bad.length === 0) failures.push(`${where}: failed outside its tests`);
  }
  for (const project of projects) {
    if (!report.files.some((file) => file.project === project)) failures.push(`${project}: the project has no test`);
  }
  if (report.errors > 0 || (!exitedWell && failures.length === 0))
    failures.push('an error outside every test, see above');
  return { passed, failures };
}
