import type { CalibrationResult } from '../../src/calibrate/calibrate.ts';
import { captureUnit } from '../../src/calibrate/captureUnit.ts';
import { fisherSeed } from '../../src/calibrate/gradientSeed.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { readBytes } from '../../src/gpu/readback.ts';
import { normalizePixels } from '../../src/io/preprocess.ts';
import { packRows } from '../../src/kernels/pack.ts';
import { forwardNetwork, forwardUnit, ParameterStore } from '../../src/model/execute.ts';
import { isSearched, type LinearOperation } from '../../src/model/graph.ts';
import type { Model } from '../../src/model/load.ts';
import { patchCodes, unfoldPatches } from '../../src/model/patches.ts';
import { productGeometry, type ProductGeometry } from '../../src/quantize/geometry.ts';
import { layerWeight } from '../../src/quantize/layerWeight.ts';
import { doubleLayerScore, type HostCapture } from './doubleLayerScore.ts';

/** What a calibration leaves besides its recipe: the folded network, and weights whose codes and biases are not those of rounding. */
type Deployed = Pick<CalibrationResult, 'prepared' | 'weights'>;

/** A layer, the score that it should state, and what that was found of. */
export interface DoubleScore {
  readonly layer: LayerRecipe;
  readonly expected: number;
  readonly geometry: ProductGeometry;
  readonly capture: HostCapture;
}

/**
 * The score of every layer of a recipe as `doubleLayerScore` finds it on the values that the float network of `model` has, with the
 * seed 0. Recipes with foldings or compensation need what was `deployed`.
 */
export async function doubleScores(
  { device, pool }: { readonly device: GPUDevice; readonly pool: BufferPool },
  model: Model,
  recipe: Recipe,
  few: readonly CalibrationImage[],
  deployed?: Deployed,
): Promise<DoubleScore[]> {
  const read = async (buffer: GPUBuffer, count = buffer.size / 4) =>
    new Float32Array(await readBytes(device, buffer, 4 * count));
  const layerOf = (name: string) => recipe.layers.find((layer) => layer.name === name) as LayerRecipe;
  const { config, network } = model;
  using parameters = new ParameterStore(pool, model);
  const context = { device, pool, parameters };
  const join = (parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
  const patches = join(few.map(({ rgb }) => unfoldPatches(normalizePixels(rgb, config.preprocessing), config)));
  const inputs = [patches];
  for (const unit of network.units) {
    const scope = pool.scope();
    const input = scope.upload(inputs.at(-1) as Float32Array, 'input');
    const tensors = await forwardUnit(context, unit, input, few.length, scope);
    inputs.push(await read(tensors.get(unit.output) as GPUBuffer, few.length * (unit.elements[unit.output] as number)));
    scope.release();
  }
  const logits = await forwardNetwork(context, network, patches, few.length);
  let gradient = join(
    few.map(({ sha256 }, i) =>
      fisherSeed(logits.subarray(i * network.numClasses, (i + 1) * network.numClasses), {
        seed: 0,
        imageSha256: sha256,
      }),
    ),
  );
  const found: DoubleScore[] = [];
  const prepared = deployed?.prepared ?? model;
  using preparedParameters = new ParameterStore(pool, prepared);
  const preparedContext = { device, pool, parameters: preparedParameters };
  for (const [index, unit] of [...prepared.network.units.entries()].reverse()) {
    const scope = pool.scope();
    const codes = few.map(({ rgb }) => patchCodes(rgb, config));
    const depth = 3 * config.patchSize ** 2;
    const chunk = {
      images: few.length,
      input: inputs[index] as Float32Array,
      outputGradient: gradient,
      pixelCodes: index === 0 ? packRows(codes, depth) : undefined,
    };
    const { layers, inputGradient } = await captureUnit(preparedContext, unit, chunk, scope);
    for (const operation of unit.operations.filter(isSearched)) {
      const captured = layers.get(operation.name)!;
      const weight = operation.kind === 'linear' ? weightOf(prepared, operation, deployed) : undefined;
      const pixels = operation.kind === 'linear' && operation.operand === 'pixels';
      const layer = layerOf(operation.name);
      const geometry = productGeometry(operation, unit);
      const capture = {
        images: captured.images,
        a: pixels ? codes.flatMap((part) => [...part]) : await read(captured.a),
        b: weight?.weight ?? (await read(captured.b as GPUBuffer)),
        bias: weight?.bias ?? null,
        output: await read(captured.output),
        gradient: await read(captured.gradient),
      };
      found.push({ layer, expected: doubleLayerScore(layer, geometry, capture), geometry, capture });
    }
    if (index > 0) gradient = await read(inputGradient as GPUBuffer, (inputs[index] as Float32Array).length);
    scope.release();
  }
  return found;
}

/** Values of the codes that were deployed, `[columns, depth]`: the nearest codes of these are those codes again. */
function weightOf(model: Model, operation: LinearOperation, deployed: Deployed | undefined) {
  const given = layerWeight(model, operation);
  const own = deployed?.weights.get(operation.name);
  if (!own) return given;
  const { codes, scales, bias } = own;
  const size = codes.length / scales.length; // equal runs of rows share a scale
  return { weight: Float32Array.from(codes, (code, i) => code * (scales[Math.floor(i / size)] as number)), bias };
}
