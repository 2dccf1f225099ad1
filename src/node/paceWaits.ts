/** Methods of WebGPU whose promises wait for a device. */
const WAITS = { GPUBuffer: 'mapAsync', GPUQueue: 'onSubmittedWorkDone', GPUDevice: 'createComputePipelineAsync' };

/** A sleep is this share of the time waited so far, and no longer than this: what a wait may end late by. */
const SLEEP_SHARE = 1 / 32;
const LONGEST_SLEEP_MS = 0.25;
/** Shorter ones are none: the system wakes a thread later than that. */
const SHORTEST_SLEEP_MS = 0.02;

type Wait = (this: unknown, ...given: unknown[]) => Promise<unknown>;

const paced = new WeakSet();
const cell = new Int32Array(new SharedArrayBuffer(4));
let waits = 0;
let since = 0;
let turning = false;

/**
 * Lets a thread that waits for a device sleep between looks at it. Dawn in Node looks whenever the event loop turns, by a new function
 * each time: that keeps a core busy, which a software adapter would compute with, and fills the heap. The embedded sample was
 * calibrated in 16.7 s with a million turns, in 12.1 s with ten thousand.
 *
 * @param classes what the package `webgpu` exports as `globals`; those that are paced stay as they are
 */
export function paceWaits(classes: object): void {
  for (const [name, method] of Object.entries(WAITS)) {
    const { prototype } = (classes as Record<string, { readonly prototype: Record<string, Wait> }>)[name]!;
    if (paced.has(prototype)) continue;
    paced.add(prototype);
    const original = prototype[method] as Wait;
    prototype[method] = function (...given) {
      return whilePacing(original.apply(this, given));
    };
  }
}

async function whilePacing<T>(wait: Promise<T>): Promise<T> {
  if (waits++ === 0) since = performance.now();
  if (!turning) setImmediate(turn);
  turning = true;
  try {
    return await wait;
  } finally {
    waits--;
  }
}

/** Sleeps once in each turn of the event loop as long as anything waits. */
function turn(): void {
  turning = waits > 0;
  if (!turning) return;
  const sleep = Math.min(LONGEST_SLEEP_MS, SLEEP_SHARE * (performance.now() - since));
  if (sleep >= SHORTEST_SLEEP_MS) Atomics.wait(cell, 0, 0, sleep);
  setImmediate(turn);
}
