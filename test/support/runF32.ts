import { submit, type Dispatch } from '../../src/gpu/kernel.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { withJunk } from './floats.ts';

/** What follows the result in its buffer; a kernel that writes past its end changes it. */
const GUARD = 9;
const GUARD_VALUE = -12345;

/**
 * Runs one kernel on uploaded inputs (junk after each) and returns the `elements` values it wrote. Throws when it wrote
 * past them, or gives other values when its workgroups are folded into two lines of the grid.
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
    const run = async (lines: number) => {
      const output = scope.upload(new Float32Array(elements + GUARD).fill(GUARD_VALUE), 'output');
      const dispatch = await prepareWith(buffers as Record<Name, GPUBuffer>, output);
      const [x] = dispatch.grid;
      submit(shared.device, [lines === 1 ? dispatch : { ...dispatch, grid: [Math.ceil(x / lines), lines, 1] }]);
      return readF32(shared.device, output, elements + GUARD);
    };
    const [all, folded] = [await run(1), await run(2)];
    const past = all.subarray(elements).findIndex((v) => v !== GUARD_VALUE);
    if (past >= 0) throw new Error(`wrote ${all[elements + past]} at element ${elements + past} of ${elements}`);
    const other = all.findIndex((v, i) => !Object.is(v, folded[i]));
    if (other >= 0) throw new Error(`element ${other} is ${all[other]}, in a folded grid ${folded[other]}`);
    return all.slice(0, elements);
  } finally {
    scope.release();
  }
}
