import type { BufferScope } from '../gpu/buffers.ts';
import { backwardUnit, forwardUnit, type ExecutionContext, type Tensors } from '../model/execute.ts';
import { isSearched, type SearchedOperation, type Unit } from '../model/graph.ts';
import type { CapturedChunk } from './layerScorer.ts';

/** A run of images that go through the network together. */
export interface ChunkInput {
  readonly images: number;
  /** Input of the unit, f32 `[images][elements]`. */
  readonly input: Float32Array;
  /** Gradient of the unit's output, f32; undefined when the metric needs none. */
  readonly outputGradient: Float32Array | undefined;
  /** Packed codes of the unit's pixel operand, when it has one. */
  readonly pixelCodes: Uint8Array | undefined;
}

/** What the searched layers of a unit read and wrote for one chunk, and the gradient of the unit's input. */
export interface UnitCapture {
  readonly layers: ReadonlyMap<string, CapturedChunk>;
  readonly inputGradient: GPUBuffer | undefined;
}

/**
 * Runs a unit forward and backward on one chunk and keeps in `scope` what its searched layers need; everything else is freed.
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
    let gradients: Tensors = new Map();
    if (chunk.outputGradient) {
      const outputGradient = work.upload(chunk.outputGradient, `${unit.name} output gradient`);
      gradients = await backwardUnit(context, unit, tensors, outputGradient, images, work);
    }
    const kept = (buffer: GPUBuffer | undefined, what: string): GPUBuffer => {
      if (!buffer) throw new Error(`${unit.name} has no ${what}`);
      return scope.adopt(buffer, work);
    };
    const layers = new Map<string, CapturedChunk>();
    for (const operation of unit.operations.filter(isSearched)) {
      const { a, b, output } = operandTensors(operation);
      layers.set(operation.name, {
        images,
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

function operandTensors(operation: SearchedOperation): { a: string; b: string | undefined; output: string } {
  if (operation.kind === 'linear') return { a: operation.input, b: undefined, output: operation.output };
  return { a: operation.a.tensor, b: operation.b.tensor, output: operation.output.tensor };
}
