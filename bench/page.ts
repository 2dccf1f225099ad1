/**
 * The page in a headless Chromium on SwiftShader, opened anew for every repeat: first paint, one click to the result, the tasks of its
 * main thread, what is sent to it. Run after a build with `node dist/bench/page.js [--repeats 3]`; ends with 1 when a claim does not hold.
 */
import { parseArgs } from 'node:util';
import type { Task } from './page/mainThread.ts';
import { measureRun, type PageRun } from './page/measureRun.ts';
import { medianOf } from './support/alternate.ts';
import { atMost, printClaims, printTable } from './support/table.ts';

/** Tasks that are named. */
const NAMED = 5;

const { values } = parseArgs({ options: { repeats: { type: 'string', default: '3' } } });
const repeats = Number(values.repeats);
if (!Number.isInteger(repeats) || repeats < 1) throw new RangeError('--repeats takes a count of 1 or more');
const runs: PageRun[] = [];
for (let i = 0; i < repeats; i++) runs.push(await measureRun());
process.exitCode = report(runs) === 0 ? 0 : 1;

function report(all: readonly PageRun[]): number {
  const adapters = [...new Set(all.map(({ adapter }) => adapter))].join(' / ');
  console.log(`# The page: "${adapters}", ${all.length} runs, each in a new browser`);
  const longest = (each: PageRun) => Math.max(...each.tasks.map(({ ms }) => ms));
  const ascending = (of: (run: PageRun) => number) => all.map(of).sort((a, b) => a - b);
  const row = (what: string, of: (run: PageRun) => number, digits: number) => {
    const sorted = ascending(of);
    const cells = [medianOf(sorted), sorted[0] as number, sorted.at(-1) as number];
    return [what, ...cells.map((value) => value.toFixed(digits))];
  };
  const header = ['', 'median', 'least', 'most'];
  printTable('What a person waits for', header, [
    row('first contentful paint, ms', ({ firstPaintMs }) => firstPaintMs, 0),
    row('press of the button to the result, s', ({ oneClickMs }) => oneClickMs / 1000, 1),
    row('press of the button to the verdict of the self-test, s', ({ verdictMs }) => verdictMs / 1000, 1),
    row('longest task of the main thread, ms', longest, 0),
    row(
      'most time of the processor in a task, ms',
      ({ tasks }) => Math.max(...tasks.map(({ processorMs }) => processorMs)),
      0,
    ),
    row('tasks of the main thread over 50 ms', ({ tasks }) => tasks.filter(({ ms }) => ms > 50).length, 0),
    row('main thread busy, s', ({ tasks }) => tasks.reduce((sum, { ms }) => sum + ms, 0) / 1000, 1),
    row('sent when it is opened, kB', ({ sentBytes }) => sentBytes.opened / 1000, 1),
    row('sent in all, kB', ({ sentBytes }) => sentBytes.all / 1000, 1),
  ]);
  const stages = new Set(all.flatMap((run) => [...run.stages.keys()]));
  printTable(
    'Time per stage, s',
    header,
    [...stages].map((stage) => row(stage, (run) => (run.stages.get(stage) ?? 0) / 1000, 2)),
  );
  const tasks = all.flatMap((run) => run.tasks).sort((a, b) => b.ms - a.ms);
  printTable(
    'The longest tasks',
    ['ms', 'of them on the processor', 'after, s', 'what'],
    tasks.slice(0, NAMED).map(cells),
  );
  const median = (of: (run: PageRun) => number) => medianOf(ascending(of));
  return printClaims(`The page on "${adapters}"`, [
    atMost(
      'first contentful paint, ms',
      median(({ firstPaintMs }) => firstPaintMs),
      1000,
      0,
    ),
    atMost('press of the button to the result, s', median(({ oneClickMs }) => oneClickMs) / 1000, 90, 1),
    atMost('longest task of the main thread in all runs, ms', Math.max(...all.map(longest)), 100, 0),
    atMost('sent in all without the sample, kB gzipped', median(({ sentBytes }) => sentBytes.all) / 1000, 300, 1),
  ]);
}

function cells({ ms, processorMs, startMs, what }: Task): string[] {
  return [ms.toFixed(0), processorMs.toFixed(0), (startMs / 1000).toFixed(1), what];
}
