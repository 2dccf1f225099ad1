import { expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { compareVersions, NEEDED_NODE, nodeProblem } from '../../scripts/setup/node.js';

test.each([
  ['v20.19.0', '20.19.0', 0],
  ['20.9.0', '20.19.0', -1], // by number, not by letter
  ['v20.19.1', '20.19.0', 1],
  ['22.0.0', '20.19.0', 1],
  ['18.20.8', '20.19.0', -1],
  ['20.19', '20.19.0', 0],
  ['v24.0.0-nightly20250101', '24.0.0', 0],
])('%s against %s is %i', (a, b, order) => {
  expect(Math.sign(compareVersions(a, b))).toBe(order);
});

test('an old Node is named with what is needed', () => {
  expect(nodeProblem('v18.20.8')).toContain('20.19.0 or newer is needed, this is v18.20.8');
  expect(nodeProblem('v20.18.3')).toBeDefined();
  expect(nodeProblem('v20.19.0')).toBeUndefined();
});

test('package.json asks for the same Node', () => {
  expect(compareVersions(packageJson.engines.node.replace('>=', ''), NEEDED_NODE)).toBe(0);
});
