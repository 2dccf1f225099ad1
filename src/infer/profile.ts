import type { IntegerOperation } from '../format/program.ts';
import { record } from '../gpu/kernel.ts';
import type { RecordedStep } from './recording.ts';

/** Time on the device of one operation. */
export interface OperationTime {
  readonly name: string;
  readonly kind: IntegerOperation['kind'];
  readonly milliseconds: number;
}

/**
 * Runs `steps` once, each operation in a pass of its own between two timestamps.
 * A device opened without Dawn's `timestamp_quantization` turned off counts in steps of 0.1 ms or so.
 */
export async function profileSteps(device: GPUDevice, steps: readonly RecordedStep[]): Promise<OperationTime[]> {
  const count = 2 * steps.length;
  const querySet = device.createQuerySet({ type: 'timestamp', count });
  const resolved = device.createBuffer({
    label: 'timestamps',
    size: 8 * count,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    label: 'timestamps readback',
    size: 8 * count,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    steps.forEach(({ dispatches }, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
      for (const dispatch of dispatches) record(pass, dispatch);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const times = new BigUint64Array(staging.getMappedRange());
    return steps.map(({ operation: { name, kind } }, i) => {
      const [begin, end] = [times[2 * i] as bigint, times[2 * i + 1] as bigint];
      return { name, kind, milliseconds: Number(end - begin) / 1e6 };
    });
  } finally {
    staging.destroy();
    resolved.destroy();
    querySet.destroy();
  }
}
