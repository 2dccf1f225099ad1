import { launchBrowser } from '../../test/support/browser.ts';
import { WEBGPU_FLAGS } from '../../test/support/browserSession.ts';
import { servePage } from './servePage.ts';
import { mainThreadTasks, TRACE_CATEGORIES, type Task, type TraceEvent } from './mainThread.ts';

declare global {
  /** In the page: what it has said so far that it does, and when. */
  var stagesSeen: { readonly stage: string; readonly at: number }[];
  /** In the page: when the button was pressed, when the result was there, and when the kernels of the adapter were tested. */
  var runTimes: { pressed: number; result: number; verdict: number };
}

export interface PageRun {
  readonly adapter: string;
  readonly firstPaintMs: number;
  readonly oneClickMs: number;
  /** From the press to the verdict of the self-test. */
  readonly verdictMs: number;
  /** Milliseconds of what the page says that it does, in its order. */
  readonly stages: ReadonlyMap<string, number>;
  /** From the first byte of the page to the last thing that was looked at. */
  readonly tasks: readonly Task[];
  /** Gzipped bodies: before the button is pressed, and all of them; files of the sample are in neither. */
  readonly sentBytes: { readonly opened: number; readonly all: number };
}

const PATIENCE_MS = 1_800_000;
const MARK = 'twinshift-page';
/** Not in every frame, which the main thread that is measured would do. */
const SELDOM = { polling: 200 };

/** Opens the page in a new browser, presses its button, and looks at a layer meanwhile and at everything afterwards. */
export async function measureRun(): Promise<PageRun> {
  const sent: number[] = [];
  const server = await servePage((file, bytes) => {
    if (!file.startsWith('sample/')) sent.push(bytes);
  });
  const browser = await launchBrowser(WEBGPU_FLAGS);
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(PATIENCE_MS);
    await page.addInitScript(watch, MARK);
    await browser.startTracing(page, { categories: TRACE_CATEGORIES });
    await page.goto(server.address);
    await page.waitForFunction(
      () => performance.getEntriesByName('first-contentful-paint').length > 0,
      undefined,
      SELDOM,
    );
    await page.click('#start:not([disabled])');
    const opened = sent.reduce((sum, bytes) => sum + bytes, 0);
    await page.click('[data-layer$="attn.pv"]:not([disabled])');
    await page.waitForSelector('#layer-charts svg');
    await page.waitForSelector('#result:not([hidden]), #failure:not([hidden])');
    const failure = await page.locator('#failure').innerText();
    if (failure !== '') throw new Error(`the page failed: ${failure}`);
    await page.click('#pictures-all');
    await page.click('[data-layer="blocks.2.mlp.fc2"]');
    await page.waitForSelector('#layer-title >> text=blocks.2.mlp.fc2');
    await page.waitForSelector('#layer-charts svg');
    await page.click('#wgsl summary');
    await page.click('#pictures button >> nth=0');
    await page.waitForSelector('#attention-maps canvas');
    await page.click('#only-different');
    await page.click('#only-different');
    await Promise.all([page.waitForEvent('download'), page.click('[data-download=record]')]);
    await page.waitForFunction(() => !Number.isNaN(runTimes.verdict), undefined, SELDOM);
    const seen = await page.evaluate(() => ({
      adapter: document.getElementById('adapter')?.textContent ?? '',
      firstPaintMs: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
      stages: stagesSeen,
      ...runTimes,
    }));
    const trace = JSON.parse((await browser.stopTracing()).toString('utf8')) as { traceEvents: TraceEvent[] };
    return {
      adapter: seen.adapter,
      firstPaintMs: seen.firstPaintMs,
      oneClickMs: seen.result - seen.pressed,
      verdictMs: seen.verdict - seen.pressed,
      stages: durations(seen.stages, seen.pressed, seen.result),
      tasks: mainThreadTasks(trace.traceEvents, MARK),
      sentBytes: { opened, all: sent.reduce((sum, bytes) => sum + bytes, 0) },
    };
  } finally {
    await browser.close();
    await server.close();
  }
}

/** In the page, before its scripts. */
function watch(mark: string): void {
  globalThis.stagesSeen = [];
  globalThis.runTimes = { pressed: NaN, result: NaN, verdict: NaN };
  performance.mark(mark);
  const look = () => {
    const at = performance.now();
    if (document.getElementById('result')?.hidden === false && Number.isNaN(runTimes.result)) runTimes.result = at;
    const isTested = /of \d+ kernels give/.test(document.getElementById('figures')?.textContent ?? '');
    if (isTested && Number.isNaN(runTimes.verdict)) runTimes.verdict = at;
    const stage = document.getElementById('stage')?.textContent ?? '';
    if (stage !== stagesSeen.at(-1)?.stage) stagesSeen.push({ stage, at });
  };
  addEventListener('DOMContentLoaded', () => {
    const attributes = { attributes: true, attributeFilter: ['hidden'] };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, ...attributes });
    const pressed = () => (runTimes.pressed = performance.now());
    document.getElementById('start')?.addEventListener('click', pressed, { capture: true, once: true });
  });
}

function durations(seen: readonly { stage: string; at: number }[], pressed: number, result: number) {
  const spent = new Map<string, number>();
  const during = seen.filter(({ at }) => at >= pressed && at <= result);
  for (const [i, { stage, at }] of during.entries()) {
    const end = during[i + 1]?.at ?? result;
    spent.set(stage, (spent.get(stage) ?? 0) + end - at);
  }
  return spent;
}
