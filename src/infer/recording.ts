import type { IntegerModel } from '../format/model.ts';
import type { IntegerOperation, IntegerTensor } from '../format/program.ts';
import type { BufferSlice, Dispatch } from '../gpu/kernel.ts';
import { record, release } from '../gpu/kernel.ts';
import type { FloatKind, StepContext } from './context.ts';
import type { MemoryPlan } from './plan.ts';
import { productShapes } from './products.ts';
import { prepareStep } from './steps.ts';
import type { ProductShape } from './tiles.ts';

/** An operation with its dispatches in order. */
export interface RecordedStep {
  readonly operation: IntegerOperation;
  readonly dispatches: readonly Dispatch[];
}

/** A program prepared for one batch size: replayed by encoding its dispatches again. */
export interface Recording {
  readonly images: number;
  readonly plan: MemoryPlan;
  readonly steps: readonly RecordedStep[];
  /** Where pixels are written and logits read. */
  readonly input: BufferSlice;
  readonly output: BufferSlice;
}

/** Every integer product of `program` for `images` images. */
export function programShapes({ program }: IntegerModel, images: number): ProductShape[] {
  return program.operations.flatMap((operation) =>
    operation.kind === 'linear' || operation.kind === 'product' ? productShapes(program, operation, images) : [],
  );
}

/** Prepares every operation of the model in `context`, all at once since most of it is waiting for compilers. */
export async function recordSteps(context: StepContext, float: ReadonlySet<FloatKind>): Promise<RecordedStep[]> {
  const prepared = await Promise.allSettled(
    context.model.program.operations.map(async (operation) => {
      return { operation, dispatches: await prepareStep(context, operation, float) };
    }),
  );
  const steps = prepared.flatMap((step) => (step.status === 'fulfilled' ? [step.value] : []));
  const failed = prepared.find((step) => step.status === 'rejected');
  if (!failed) return steps;
  releaseSteps(steps);
  throw failed.reason;
}

export function releaseSteps(steps: readonly RecordedStep[]): void {
  for (const { dispatches } of steps) dispatches.forEach(release);
}

/** The whole network in one pass, and the logits copied to `staging`. */
export function encode(
  encoder: GPUCommandEncoder,
  { steps, output }: Recording,
  staging: GPUBuffer,
  bytes: number,
): void {
  const pass = encoder.beginComputePass({ label: 'integer network' });
  for (const { dispatches } of steps) for (const dispatch of dispatches) record(pass, dispatch);
  pass.end();
  encoder.copyBufferToBuffer(output.buffer, output.offset, staging, 0, bytes);
}

/** Bytes of the logits of `images` images, whole words. */
export function logitBytes({ layout, columns }: IntegerTensor, images: number): number {
  return 4 * images * (layout === 'int16' ? Math.ceil(columns / 2) : columns);
}

/** Rows of logits, int16 two a word or int32, as int32 without padding. */
export function unpackLogits(words: ArrayBuffer, { layout, columns }: IntegerTensor): Int32Array<ArrayBuffer> {
  if (layout === 'int32') return new Int32Array(words);
  const halves = new Int16Array(words);
  const stride = 2 * Math.ceil(columns / 2);
  const logits = new Int32Array((halves.length / stride) * columns);
  for (let row = 0; row * stride < halves.length; row++) {
    logits.set(halves.subarray(row * stride, row * stride + columns), row * columns);
  }
  return logits;
}
