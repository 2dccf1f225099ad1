import { writeFileSync } from 'node:fs';

/** A vitest reporter that writes what `countTests` reads to the file named by TWINSHIFT_TEST_REPORT. */
export default class CountReporter {
  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly unknown[]} errors outside every file
   */
  onTestRunEnd(modules, errors) {
    /** @type {import('./count.js').Report} */
    const report = {
      errors: errors.length,
      files: modules.map((module) => ({
        project: module.project.name,
        file: module.relativeModuleId,
        failed: !module.ok(),
        tests: [...module.children.allTests()].map((test) => ({ name: test.fullName, state: test.result().state })),
      })),
    };
    writeFileSync(process.env['TWINSHIFT_TEST_REPORT'] ?? '', JSON.stringify(report));
  }
}
