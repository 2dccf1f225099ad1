import { submit, type Dispatch } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { withJunk } from './floats.ts';

/** What follows the result in its buffer; a kernel that writes past its end changes it. */
const GUARD = 9;
const GUARD_VALUE = -12345;

/**
 * Runs one kernel on uploaded inputs (junk after each) and returns the `elements` values it wrote.
 * Throws when it wrote past them.
 */
export async function runF32<Name extends string>(
  shared: { readonly device: GPUDevice; readonly pool: BufferPool },
  inputs: Readonly<Record<Name, Float32Array>>,
  elements: number,
  prepareWith: (buffers: Record<Name, GPUBuffer>, output: GPUBuffer) => Promise<Dispatch>,
): Promise<Float32Array> {
  const scope = shared.pool.scope();
  try {
    const names = Object.keys(inputs) as Name[];
    const buffers = Object.fromEntries(names.map((name) => [name, scope.upload(withJunk(inputs[name]), name)]));
    const output = scope.upload(new Float32Array(elements + GUARD).fill(GUARD_VALUE), 'output');
    submit(shared.device, [await prepareWith(buffers as Record<Name, GPUBuffer>, output)]);
    const all = await readF32(shared.device, output, elements + GUARD);
    const past = all.subarray(elements).findIndex((v) => v !== GUARD_VALUE);
    if (past >= 0) throw new Error(`wrote ${all[elements + past]} at element ${elements + past} of ${elements}`);
    return all.slice(0, elements);
  } finally {
    scope.release();
  }
}
