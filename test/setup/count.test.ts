import { expect, test } from 'vitest';
import { countTests } from '../../scripts/test/count.js';

const file = (status: string, ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  message: '',
  assertionResults: tests.map((outcome, i) => ({ fullName: `t${i}`, status: outcome })),
});

test('tests that ran and passed have passed', () => {
  const report = { testResults: [file('passed', 'passed', 'passed'), file('passed', 'passed')] };
  expect(countTests(report, true)).toEqual({ passed: 3, failures: [] });
});

test.each([
  ['a failed test', file('failed', 'passed', 'failed'), 'a.test.ts: t1'],
  ['a skipped test', file('passed', 'passed', 'skipped'), 'a.test.ts: t1 (skipped, not run)'],
  ['a todo', file('passed', 'passed', 'todo'), 'a.test.ts: t1 (todo, not run)'],
  ['a file without tests', file('passed'), 'a.test.ts: no test ran.'],
  ['a hook that failed', file('failed', 'passed'), 'a.test.ts: failed outside its tests.'],
])('%s is one failure', (_name, result, failure) => {
  expect(countTests({ testResults: [result] }, true).failures).toEqual([failure]);
});

test('an error outside every file and a lost report are failures', () => {
  expect(countTests({ testResults: [file('passed', 'passed')] }, false).failures).toHaveLength(1);
  expect(countTests(undefined, true).failures).toHaveLength(1);
});
