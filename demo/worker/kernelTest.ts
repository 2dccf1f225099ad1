/** The self-test of a device: once for each, however many runs it has. */
import { DeviceLostError, selfTest, type Gpu } from '../../src/index.ts';
import type { SelfTestVerdict } from '../record.ts';

const begun = new WeakMap<Gpu, Promise<SelfTestVerdict>>();
const known = new WeakMap<Gpu, SelfTestVerdict>();

/** What is known of a device so far; null where its kernels were not tested to the end. */
export function knownVerdict(gpu: Gpu): SelfTestVerdict | null {
  return known.get(gpu) ?? null;
}

/**
 * Runs every kernel on small inputs against its twin.
 *
 * @throws DeviceLostError where the device is lost meanwhile, which says nothing of its kernels
 */
export function testKernels(gpu: Gpu): Promise<SelfTestVerdict> {
  let verdict = begun.get(gpu);
  if (!verdict) begun.set(gpu, (verdict = test(gpu)));
  return verdict;
}

async function test(gpu: Gpu): Promise<SelfTestVerdict> {
  const results = await selfTest(gpu);
  try {
    gpu.check();
  } catch (error) {
    if (error instanceof DeviceLostError) throw error;
  }
  const failed = results.filter(({ passed }) => !passed).map(({ kernel, form }) => `${kernel} ${form}`.trim());
  const verdict = { passed: results.length - failed.length, total: results.length, failed };
  known.set(gpu, verdict);
  return verdict;
}
