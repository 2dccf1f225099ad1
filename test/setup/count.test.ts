import { expect, test } from 'vitest';
import { countTests } from '../../scripts/test/count.js';

const file = (failed: boolean, states: string[], project = 'plain') => ({
  project,
  file: 'test/a.test.ts',
  failed,
  tests: states.map((state, i) => ({ name: `t${i}`, state })),
});

test('tests that ran and passed have passed, by project', () => {
  const files = [file(false, ['passed', 'passed']), file(false, ['passed'], 'cli'), file(false, ['passed'])];
  expect(countTests({ errors: 0, files }, ['plain', 'cli'], true)).toEqual({
    passed: { plain: 3, cli: 1 },
    failures: [],
  });
});

test.each([
  ['a failed test', file(true, ['passed', 'failed']), 'plain test/a.test.ts > t1'],
  ['a skipped test', file(false, ['passed', 'skipped']), 'plain test/a.test.ts > t1 (skipped, not run)'],
  ['a test that did not end', file(false, ['passed', 'pending']), 'plain test/a.test.ts > t1 (pending, not run)'],
  ['a file without tests, or that could not be loaded', file(true, []), 'plain test/a.test.ts: no test ran'],
  ['a hook that failed', file(true, ['passed']), 'plain test/a.test.ts: failed outside its tests'],
])('%s is one failure', (_name, result, failure) => {
  expect(countTests({ errors: 0, files: [result] }, ['plain'], false).failures).toEqual([failure]);
});

test('an error outside every file, a lost report and a project without tests are failures', () => {
  const files = [file(false, ['passed'])];
  expect(countTests({ errors: 1, files }, ['plain'], false).failures).toHaveLength(1);
  expect(countTests({ errors: 0, files }, ['plain'], false).failures).toHaveLength(1);
  expect(countTests(undefined, ['plain'], true).failures).toHaveLength(1);
  expect(countTests({ errors: 0, files }, ['plain', 'cli'], true).failures).toEqual(['cli: the project has no test']);
});
