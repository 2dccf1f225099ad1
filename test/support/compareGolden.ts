import { expect } from 'vitest';
import type { ExecutionContext } from '../../src/model/execute.ts';
import type { Model } from '../../src/model/load.ts';
import { nmse } from './device.ts';
import { searchedOutputs } from './doubleForward.ts';
import { patchesOf, type GoldenModel } from './goldenModel.ts';
import { everything } from './gradients.ts';

/** Where a module of timm has its output here; a whole block is its unit. */
function placeOf(model: Model, module: string): { unit: string; tensor: string } {
  const layer = searchedOutputs(model.network).find((place) => place.layer === module);
  if (layer) return { unit: layer.unit.name, tensor: layer.tensor };
  const block = model.network.units.find((unit) => unit.name === module);
  if (!block) throw new Error(`no module ${module}`);
  return { unit: block.name, tensor: block.output };
}

export const LOGITS = 1e-8;
const GRADIENTS = 1e-6;

/**
 * Logits (NMSE 1e-8) and, for each module named, output (1e-8) and gradient (1e-6) against PyTorch; prints the errors.
 *
 * @param modules every one must have a golden gradient
 */
export async function compareGolden(
  context: ExecutionContext,
  { model, golden }: GoldenModel,
  name: string,
  modules: readonly string[],
): Promise<void> {
  const { patches, images } = patchesOf(golden('pixels') as Float32Array, model);
  const seed = golden('seed') as Float32Array;
  const result = await everything(context, model.network, patches, images, seed);
  const logits = nmse(result.logits, golden('logits') as Float32Array);
  expect(logits).toBeLessThanOrEqual(LOGITS);
  let [worst, compared] = [0, 0];
  for (const module of modules) {
    const { unit, tensor } = placeOf(model, module);
    const out = golden(`out.${module}`);
    if (out) expect(nmse(result.tensor(unit, tensor), out), `output of ${module}`).toBeLessThanOrEqual(LOGITS);
    const grad = golden(`grad.${module}`);
    if (!grad) continue;
    const error = nmse(result.gradient(unit, tensor), grad);
    expect(error, `gradient of ${module}`).toBeLessThanOrEqual(GRADIENTS);
    worst = Math.max(worst, error);
    compared++;
  }
  expect(compared).toBe(modules.length);
  console.log(
    `${name}: NMSE of logits ${logits.toExponential(1)}, worst of ${compared} gradients ${worst.toExponential(1)}`,
  );
}
