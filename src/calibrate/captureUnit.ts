import type { BufferScope } from '../gpu/buffers.ts';
import { submit } from '../gpu/kernel.ts';
import { accumulatePowers } from '../kernels/accumulatePowers.ts';
import { rootMean } from '../kernels/rootMean.ts';
import { backwardUnit, forwardUnit, outputOf, type ExecutionContext, type Tensors } from '../model/execute.ts';
import { isSearched, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { CapturedChunk } from './layerScorer.ts';

/** A run of images that go through the network together. */
export interface ChunkInput {
  readonly images: number;
  /** Input of the unit, f32 `[images][elements]`. */
  readonly input: Float32Array;
  /** Gradients of the unit's output, f32 `[draws][images][elements]`; undefined when the metric needs none. */
  readonly outputGradient: Float32Array | undefined;
  /** Packed codes of the unit's pixel operand, when it has one. */
  readonly pixelCodes: Uint8Array | undefined;
}

/** What the searched layers of a unit read and wrote for one chunk, and the gradient of the unit's input. */
export interface UnitCapture {
  readonly layers: ReadonlyMap<string, CapturedChunk>;
  /** f32 `[draws][images][elements]` */
  readonly inputGradient: GPUBuffer | undefined;
}

/**
 * Runs a unit forward, and backward once for each draw, on one chunk and keeps in `scope` what its searched layers need;
 * everything else is freed. The gradient of a layer is that of the only draw, or the root of the mean square of several: what
 * the score squares again.
 */
export async function captureUnit(
  context: ExecutionContext,
  unit: Unit,
  chunk: ChunkInput,
  scope: BufferScope,
): Promise<UnitCapture> {
  const { images } = chunk;
  const work = context.pool.scope();
  try {
    const input = work.upload(chunk.input, `${unit.name} input`);
    const tensors = await forwardUnit(context, unit, input, images, work);
    const gradients = await gradientsOf(context, unit, chunk, tensors, work);
    const kept = (buffer: GPUBuffer | undefined, what: string): GPUBuffer => {
      if (!buffer) throw new Error(`${unit.name} has no ${what}`);
      return scope.adopt(buffer, work);
    };
    const layers = new Map<string, CapturedChunk>();
    for (const operation of unit.operations.filter(isSearched)) {
      const { a, b, output } = operandTensors(operation);
      layers.set(operation.name, {
        images: operation.kind === 'matmul' ? images * operation.windows : images,
        a:
          operation.kind === 'linear' && operation.operand === 'pixels'
            ? scope.upload(chunk.pixelCodes as Uint8Array, `${operation.name} pixel codes`)
            : kept(tensors.get(a), a),
        b: b === undefined ? undefined : kept(tensors.get(b), b),
        output: kept(tensors.get(output), output),
        gradient: kept(chunk.outputGradient ? gradients.get(output) : tensors.get(output), `gradient of ${output}`),
      });
    }
    const inputGradient = gradients.get(unit.input);
    return { layers, inputGradient: inputGradient && kept(inputGradient, 'input gradient') };
  } finally {
    work.release();
  }
}

/** Gradients of the outputs of searched layers, over all draws, and those of the input, draw by draw. */
async function gradientsOf(
  context: ExecutionContext,
  unit: Unit,
  { images, outputGradient }: ChunkInput,
  tensors: Tensors,
  work: BufferScope,
): Promise<Tensors> {
  if (!outputGradient) return new Map();
  const elements = (tensor: string) => images * (unit.elements[tensor] as number);
  const draws = outputGradient.length / elements(unit.output);
  const seedOf = (draw: number, scope: BufferScope) => {
    const seed = outputGradient.subarray(draw * elements(unit.output), (draw + 1) * elements(unit.output));
    return scope.upload(seed, `${unit.name} output gradient`);
  };
  if (draws === 1) return backwardUnit(context, unit, tensors, seedOf(0, work), images, work);
  const { device } = context;
  const outputs = unit.operations.filter(isSearched).map(outputOf);
  const sums = new Map(outputs.map((name) => [name, work.zeros(4 * elements(name), `squares of ${name}`)]));
  const inputBytes = 4 * elements(unit.input);
  let inputGradients: GPUBuffer | undefined;
  for (let draw = 0; draw < draws; draw++) {
    const own = context.pool.scope();
    try {
      const gradients = await backwardUnit(context, unit, tensors, seedOf(draw, own), images, own);
      for (const [name, total] of sums) {
        const buffers = { source: gradients.get(name) as GPUBuffer, sums: total };
        submit(device, [await accumulatePowers(device, buffers, { count: elements(name), repeats: 1, power: 2 })]);
      }
      const ofInput = gradients.get(unit.input);
      if (ofInput) {
        inputGradients ??= work.acquire(draws * inputBytes, `${unit.name} input gradients`);
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(ofInput, 0, inputGradients, draw * inputBytes, inputBytes);
        device.queue.submit([encoder.finish()]);
      }
    } finally {
      own.release();
    }
  }
  const roots: Tensors = new Map();
  for (const [name, total] of sums) {
    const y = work.acquire(4 * elements(name), `gradient of ${name}`);
    const shape = { count: elements(name), repeats: 1, factor: 1 / draws };
    submit(device, [await rootMean(device, { sums: total, y }, shape)]);
    roots.set(name, y);
  }
  if (inputGradients) roots.set(unit.input, inputGradients);
  return roots;
}

function operandTensors(operation: SearchedOperation): { a: string; b: string | undefined; output: string } {
  if (operation.kind === 'linear') return { a: operation.input, b: undefined, output: operation.output };
  return { a: operation.a.tensor, b: operation.b.tensor, output: operation.output.tensor };
}
