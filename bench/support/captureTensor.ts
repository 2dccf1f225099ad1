import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { BufferPool } from '../../src/gpu/buffers.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { readF32 } from '../../src/gpu/readback.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { concatenate } from '../../src/model/concatenate.ts';
import { forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import type { Model } from '../../src/model/load.ts';
import { unfoldPatches } from '../../src/model/patches.ts';

/** A tensor of the float network for all `images`, f32 `[images][elements]`. */
export async function captureTensor(
  gpu: Gpu,
  model: Model,
  unitName: string,
  tensor: string,
  images: readonly CalibrationImage[],
): Promise<Float32Array> {
  using pool = new BufferPool(gpu.device);
  using parameters = new ParameterStore(pool, model);
  const context = { device: gpu.device, pool, parameters };
  const { config, network } = model;
  const patches = images.map(({ rgb }) => unfoldPatches(normalizePixels(rgb, config.preprocessing), config));
  let input = concatenate(patches);
  for (const unit of network.units) {
    const scope = pool.scope();
    const tensors = await forwardUnit(context, unit, scope.upload(input, unit.input), images.length, scope);
    const wanted = unit.name === unitName ? tensor : unit.output;
    const count = images.length * (unit.elements[wanted] as number);
    const values = await readF32(gpu.device, tensors.get(wanted) as GPUBuffer, count);
    scope.release();
    if (unit.name === unitName) return values;
    input = values;
  }
  throw new Error(`the network has no unit ${unitName}`);
}
