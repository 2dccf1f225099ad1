import { expect, test } from 'vitest';
import { mainThreadTasks, type TraceEvent } from '../../bench/page/mainThread.ts';

const event = (name: string, startMs: number, ms: number, more: Partial<TraceEvent> = {}): TraceEvent => {
  return { name, ph: 'X', pid: 1, tid: 1, ts: 1000 * startMs, dur: 1000 * ms, tdur: 500 * ms, ...more };
};

test('tasks are those of the thread that set the mark, from the one in which it did, with what took them', () => {
  const tasks = mainThreadTasks(
    [
      event('RunTask', 300, 60),
      event('RunTask', 0, 90), // before the page
      event('RunTask', 95, 10),
      event('mark', 100, 0, { ph: 'R' }),
      event('RunTask', 200, 500, { tid: 2 }),
      event('RunTask', 200, 500, { pid: 2 }),
      event('Layout', 310, 20),
      event('FunctionCall', 302, 40, { args: { data: { functionName: 'draw', url: 'http://localhost/a.js' } } }),
      event('EvaluateScript', 331, 5, { args: { data: { url: 'http://localhost/assets/a.js' } } }),
      event('Paint', 361, 50), // of the next
    ],
    'mark',
  );
  expect(tasks).toEqual([
    { startMs: -5, ms: 10, processorMs: 5, what: '' },
    { startMs: 200, ms: 60, processorMs: 30, what: 'FunctionCall draw 40 ms, Layout 20 ms, EvaluateScript a.js 5 ms' },
  ]);
  expect(() => mainThreadTasks([event('RunTask', 0, 1)], 'mark')).toThrow('no mark');
});
