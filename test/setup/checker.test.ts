import { expect, test } from 'vitest';
import { checkerCommands } from '../../scripts/setup/checker.js';

const debian = { platform: 'linux', release: { ID: 'debian' }, root: true, apt: true };

test('the checker of ONNX comes from apt where that may install', () => {
  expect(checkerCommands(debian).map((words) => words.join(' '))).toEqual([
    'apt-get update',
    'apt-get install --yes --no-install-recommends python3-onnx',
  ]);
  expect(checkerCommands({ ...debian, release: { ID: 'ubuntu' } })).toHaveLength(2);
});

test.each([{ root: false }, { apt: false }, { platform: 'darwin' }, { release: { ID: 'fedora' } }])(
  'nothing is installed with %o',
  (change) => {
    expect(checkerCommands({ ...debian, ...change })).toEqual([]);
  },
);
