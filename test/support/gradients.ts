import { readF32 } from '../../src/gpu/readback.ts';
import { backwardUnit, forwardUnit, type ExecutionContext, type Tensors } from '../../src/model/execute.ts';
import type { Network } from '../../src/model/graph.ts';

/** All tensors and gradients of a network, by unit and tensor, on the host. */
export interface Everything {
  readonly logits: Float32Array;
  tensor(unit: string, name: string): Float32Array;
  gradient(unit: string, name: string): Float32Array;
}

/** Forward and backward of a whole network for one chunk, keeping every tensor: only for small models or few images. */
export async function everything(
  context: ExecutionContext,
  network: Network,
  patches: Float32Array,
  images: number,
  seed: Float32Array,
): Promise<Everything> {
  const scope = context.pool.scope();
  const forward: Tensors[] = [];
  let input = scope.upload(patches, 'patches');
  for (const unit of network.units) {
    const tensors = await forwardUnit(context, unit, input, images, scope);
    forward.push(tensors);
    input = tensors.get(unit.output) as GPUBuffer;
  }
  let gradient = scope.upload(seed, 'seed');
  const tensors = new Map<string, Float32Array>();
  const gradients = new Map<string, Float32Array>();
  for (const [i, unit] of [...network.units.entries()].reverse()) {
    const backward = await backwardUnit(context, unit, forward[i] as Tensors, gradient, images, scope);
    const read = async (from: Tensors, to: Map<string, Float32Array>) => {
      for (const [name, buffer] of from) {
        to.set(`${unit.name} ${name}`, await readF32(context.device, buffer, images * (unit.elements[name] as number)));
      }
    };
    await read(forward[i] as Tensors, tensors);
    await read(backward, gradients);
    const next = backward.get(unit.input);
    if (next) gradient = next;
  }
  scope.release();
  const last = network.units.at(-1)!;
  const lookup = (map: Map<string, Float32Array>) => (unit: string, name: string) => {
    const found = map.get(`${unit} ${name}`);
    if (!found) throw new Error(`${unit} has no ${name}`);
    return found;
  };
  return {
    logits: lookup(tensors)(last.name, last.output),
    tensor: lookup(tensors),
    gradient: lookup(gradients),
  };
}
