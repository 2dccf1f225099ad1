import { BufferPool } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { calibratorCases } from './calibratorCases.ts';
import type { SelfTestCase } from './case.ts';
import { floatCases } from './floatCases.ts';
import { integerCases } from './integerCases.ts';
import { nonlinearCases } from './nonlinearCases.ts';
import { productCases } from './productCases.ts';
import { quantizeCases } from './quantizeCases.ts';
import { windowCases } from './windowCases.ts';

/** How one kernel did. */
export interface SelfTestResult {
  readonly kernel: string;
  /** Which of the kernel's forms, where it has several; else empty. */
  readonly form: string;
  readonly passed: boolean;
  /** Normalised mean squared error against the twin, or the share of wrong words of an exact kernel; null when it did not run. */
  readonly error: number | null;
  /** Largest error allowed; 0: the same bits. */
  readonly bound: number;
  /** Why it did not run; null when it did. */
  readonly failure: string | null;
}

/** Every case of the self-test; together they cover every kernel that `device` can run. */
export function selfTestCases(device: GPUDevice): SelfTestCase[] {
  return [
    ...floatCases(device),
    ...quantizeCases(),
    ...calibratorCases(),
    ...productCases(device),
    ...integerCases(device),
    ...nonlinearCases(),
    ...windowCases(),
  ];
}

/** Cases under way at once: compiling takes far longer than running, and drivers compile on several threads. */
const TOGETHER = 4;

/**
 * Runs every kernel on a small input with odd sizes and compares it with its TypeScript twin: a driver that computes wrong
 * numbers, or refuses a shader, is named here instead of spoiling a calibration. A failure does not stop the others.
 */
export async function selfTest(
  gpu: Gpu,
  cases: readonly SelfTestCase[] = selfTestCases(gpu.device),
): Promise<readonly SelfTestResult[]> {
  using pool = new BufferPool(gpu.device);
  const results: SelfTestResult[] = [];
  const waiting = cases.entries();
  const runInTurn = async () => {
    for (const [i, each] of waiting) results[i] = await resultOf(gpu, pool, each);
  };
  await Promise.all(Array.from({ length: TOGETHER }, runInTurn));
  return results;
}

async function resultOf(
  gpu: Gpu,
  pool: BufferPool,
  { kernel, form, bound, measure }: SelfTestCase,
): Promise<SelfTestResult> {
  try {
    const error = await measure(pool);
    gpu.check();
    return { kernel, form, passed: error <= bound, error, bound, failure: null };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { kernel, form, passed: false, error: null, bound, failure };
  }
}
