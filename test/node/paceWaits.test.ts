import { afterEach, describe, expect, it, vi } from 'vitest';
import { paceWaits } from '../../src/node/paceWaits.ts';

/** Classes that wait as Dawn does: they look at the clock in every turn of the event loop. */
function waitingClasses() {
  let turns = 0;
  const wait = (ms: number, end: () => void) => {
    const until = performance.now() + ms;
    const look = () => {
      turns++;
      if (performance.now() >= until) end();
      else setImmediate(look);
    };
    setImmediate(look);
  };
  class GPUBuffer {
    readonly ms: number;
    constructor(ms: number) {
      this.ms = ms;
    }
    mapAsync(mode: number): Promise<string> {
      return new Promise((resolve) => {
        wait(this.ms, () => {
          resolve(`mode ${mode} after ${this.ms} ms`);
        });
      });
    }
  }
  class GPUQueue {
    onSubmittedWorkDone(): Promise<never> {
      return new Promise((_, reject) => {
        wait(1, () => {
          reject(new Error('lost'));
        });
      });
    }
  }
  class GPUDevice {
    createComputePipelineAsync(): Promise<void> {
      return Promise.resolve();
    }
  }
  return { GPUBuffer, GPUQueue, GPUDevice, turnsOf: () => turns };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('paceWaits', () => {
  it('sleeps while a device is at work, and gives what the wait gives', async () => {
    const classes = waitingClasses();
    paceWaits(classes);
    const method: unknown = Reflect.get(classes.GPUBuffer.prototype, 'mapAsync');
    paceWaits(classes);
    expect(Reflect.get(classes.GPUBuffer.prototype, 'mapAsync')).toBe(method);
    expect(await new classes.GPUBuffer(120).mapAsync(1)).toBe('mode 1 after 120 ms');
    expect(classes.turnsOf()).toBeGreaterThan(10);
    expect(classes.turnsOf()).toBeLessThan(1200); // each turn sleeps; without, there are some 50 thousand
  });

  it('sleeps once a turn however many wait, one after another and at once', async () => {
    const classes = waitingClasses();
    paceWaits(classes);
    let counting = true;
    let turns = 0;
    const count = () => {
      turns++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    const slept: number[] = [];
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      slept.push(turns);
      return 'timed-out';
    });
    for (let i = 0; i < 20; i++) await new classes.GPUBuffer(3).mapAsync(1);
    await Promise.all(Array.from({ length: 20 }, () => new classes.GPUBuffer(5).mapAsync(1)));
    counting = false;
    expect(slept.length).toBeGreaterThan(20);
    expect(new Set(slept).size).toBe(slept.length);
  });

  it('passes errors on and goes on pacing', async () => {
    const classes = waitingClasses();
    paceWaits(classes);
    await expect(new classes.GPUQueue().onSubmittedWorkDone()).rejects.toThrow('lost');
    expect(await new classes.GPUBuffer(1).mapAsync(2)).toBe('mode 2 after 1 ms');
  });

  it('ends when nothing waits', async () => {
    const classes = waitingClasses();
    paceWaits(classes);
    await new classes.GPUBuffer(20).mapAsync(1);
    const sleeps = vi.spyOn(Atomics, 'wait');
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(sleeps).not.toHaveBeenCalled();
  });
});
