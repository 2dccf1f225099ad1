/** What a trace of Chromium says of the main thread of a page. */

/** An event of the trace event format; times in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  /** Time that the thread had the processor. */
  readonly tdur?: number;
  readonly args?: { readonly data?: Readonly<Record<string, unknown>>; readonly name?: string };
}

/** Categories that `mainThreadTasks` reads. */
export const TRACE_CATEGORIES = [
  '-*',
  'devtools.timeline',
  'disabled-by-default-devtools.timeline',
  'blink.user_timing',
];

export interface Task {
  /** After the mark. */
  readonly startMs: number;
  readonly ms: number;
  /** Time that the thread had the processor; less than `ms` where others had it meanwhile. */
  readonly processorMs: number;
  /** What took most of it. */
  readonly what: string;
}

/** Shorter tasks are not looked into. */
const NAMED_US = 20_000;

/** Tasks of the main thread that set `mark`, in their order, from the one in which it did. */
export function mainThreadTasks(events: readonly TraceEvent[], mark: string): Task[] {
  const marked = events.find(({ name }) => name === mark);
  if (!marked) throw new Error(`the trace has no mark ${mark}`);
  const own = events.filter(({ ph, pid, tid }) => ph === 'X' && pid === marked.pid && tid === marked.tid);
  const endOf = ({ ts, dur = 0 }: TraceEvent) => ts + dur;
  const tasks = own.filter((event) => event.name === 'RunTask' && endOf(event) >= marked.ts);
  return tasks
    .sort((a, b) => a.ts - b.ts)
    .map((task) => ({
      startMs: (task.ts - marked.ts) / 1000,
      ms: (task.dur ?? 0) / 1000,
      processorMs: (task.tdur ?? task.dur ?? 0) / 1000,
      what: (task.dur ?? 0) < NAMED_US ? '' : longestOf(own.filter(({ ts }) => ts > task.ts && ts < endOf(task))),
    }));
}

function longestOf(events: readonly TraceEvent[]): string {
  return events
    .toSorted((a, b) => (b.dur ?? 0) - (a.dur ?? 0))
    .slice(0, 3)
    .map(({ name, args, dur = 0 }) => {
      const { functionName, url, type } = args?.data ?? {};
      const detail = [functionName, url, type].find((each) => typeof each === 'string' && each !== '');
      return `${name}${typeof detail === 'string' ? ` ${detail.replace(/^.*\//, '')}` : ''} ${(dur / 1000).toFixed(0)} ms`;
    })
    .join(', ');
}
