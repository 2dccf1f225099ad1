import { expect, test } from 'vitest';
import { createProgress } from '../../src/cli/progress.ts';
import { formatBytes, formatCount, formatDuration, formatPercent, plural, table } from '../../src/cli/text.ts';

/** A stream that keeps what is written, and a clock that a test moves. */
function recorder(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const progress = createProgress({ isTTY, columns, write: (text) => written.push(text) }, () => clock.ms);
  return { written, clock, progress };
}

test('a terminal shows one line that is redrawn and taken away', () => {
  const { written, clock, progress } = recorder(true);
  progress.report({ stage: 'search', done: 0, total: 4 });
  clock.ms = 2000;
  progress.report({ stage: 'search', done: 1, total: 4 });
  progress.clear();
  expect(written).toEqual([
    '\r\x1b[K[........................]   0 %  search',
    '\r\x1b[K[######..................]  25 %  search  6 s left',
    '\r\x1b[K',
  ]);
  progress.clear();
  expect(written).toHaveLength(3);
});

test('details of a step stand before the remaining time', () => {
  const { written, clock, progress } = recorder(true);
  progress.report({ stage: 'fetching', done: 1, total: 4, detail: '1 kB of 4 kB' });
  expect(written.at(-1)).toMatch(/25 % {2}fetching {2}1 kB of 4 kB$/);
  clock.ms = 2000;
  progress.report({ stage: 'fetching', done: 2, total: 4, detail: '2 kB of 4 kB', remainingMs: 5000 });
  expect(written.at(-1)).toMatch(/50 % {2}fetching {2}2 kB of 4 kB {2}5 s left$/);
});

test('the remaining time of the worker is preferred to an extrapolation, across its stages', () => {
  const { written, clock, progress } = recorder(true);
  progress.report({ stage: 'forward', done: 0, total: 200, remainingMs: 9000 });
  clock.ms = 500;
  progress.report({ stage: 'forward', done: 1, total: 200, remainingMs: 9000 });
  expect(written.at(-1)).not.toContain('left');
  clock.ms = 5000;
  progress.report({ stage: 'blocks.1', done: 100, total: 200, remainingMs: 124_100 });
  expect(written.at(-1)).toContain('50 %  blocks.1  2 min 05 s left');
  progress.report({ stage: 'blocks.0', done: 199, total: 200, remainingMs: 3 });
  expect(written.at(-1)).toContain('99 %  blocks.0  1 s left');
  progress.report({ stage: 'blocks.0', done: 200, total: 200, remainingMs: 0 });
  expect(written.at(-1)).toMatch(/100 % {2}blocks\.0$/);
});

test('a terminal that does not tell its width has 80 columns', () => {
  const { written, progress } = recorder(true, 0);
  progress.report({ stage: 'search', done: 1, total: 2 });
  expect(written[0]).toMatch(/search$/);
});

test('no remaining time is guessed from the first moment of a stage', () => {
  const { written, clock, progress } = recorder(true);
  progress.report({ stage: 'search', done: 0, total: 100 });
  clock.ms = 500;
  progress.report({ stage: 'search', done: 1, total: 100 });
  expect(written.at(-1)).not.toContain('left');
});

test('a terminal is redrawn ten times a second at most, but a new stage and an end are always drawn', () => {
  const { written, clock, progress } = recorder(true);
  for (let done = 0; done < 50; done++) {
    clock.ms = done;
    progress.report({ stage: 'search', done, total: 1000 });
  }
  expect(written).toHaveLength(1);
  progress.report({ stage: 'writing', done: 0, total: 1 });
  progress.report({ stage: 'writing', done: 1, total: 1 });
  expect(written).toHaveLength(3);
});

test('a line never wraps: it is cut to the width of the terminal', () => {
  const { written, progress } = recorder(true, 40);
  progress.report({ stage: 'a stage with a very long name indeed', done: 1, total: 2 });
  expect(written[0]?.replace('\r\x1b[K', '')).toHaveLength(39);
});

test('a note takes the drawn line away first', () => {
  const { written, progress } = recorder(true);
  progress.report({ stage: 'search', done: 1, total: 2 });
  progress.note('twinshift: skipped: a.png');
  expect(written.slice(1)).toEqual(['\r\x1b[K', 'twinshift: skipped: a.png\n']);
});

test('elsewhere a stage is one line and no control character is written', () => {
  const { written, progress } = recorder(false);
  for (let done = 0; done < 5; done++) progress.report({ stage: 'search', done, total: 5 });
  progress.report({ stage: 'writing', done: 0, total: 1 });
  progress.note('done');
  progress.clear();
  expect(written).toEqual(['search\n', 'writing\n', 'done\n']);
});

test('numbers are written for a reader', () => {
  expect([0, 999, 1000, 999_949, 999_960, 22_880_000].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '999.9 kB',
    '1.0 MB',
    '22.9 MB',
  ]);
  expect([0.4, 999, 999.6, 59_940, 59_960, 245_000, 3_599_700, 7_620_000].map(formatDuration)).toEqual([
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1 min 00 s',
    '4 min 05 s',
    '1 h 00 min',
    '2 h 07 min',
  ]);
  expect([0, 640, 999, 1000, 5_717_416, 1_260_000_000].map(formatCount)).toEqual([
    '0',
    '640',
    '999',
    '1.00 k',
    '5.72 M',
    '1.26 G',
  ]);
  expect(formatPercent(0.97436)).toBe('97.4 %');
  expect([plural(1, 'image'), plural(2, 'image')]).toEqual(['1 image', '2 images']);
  expect(
    table(
      [
        ['a', '1'],
        ['long', '22'],
      ],
      ['left', 'right'],
    ),
  ).toEqual(['a      1', 'long  22']);
});
