import { submit } from '../gpu/kernel.ts';
import { readBytes } from '../gpu/readback.ts';
import { codeWords } from '../kernels/codes.ts';
import { quantizeUniform } from '../kernels/quantizeUniform.ts';
import { searchedLayers } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { GpuContext } from '../quantize/context.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import type { LayerRecipe } from './recipe.ts';

/** A weight as integers: `weight[o, i] ~ codes[o, i] * scale of o`. */
export interface QuantizedWeight {
  /** `[outFeatures, inFeatures]` */
  readonly codes: Int8Array;
  readonly shape: readonly [outFeatures: number, inFeatures: number];
  /** f32, one per equal run of output features. */
  readonly scales: Float32Array;
  /** f32 `[outFeatures]`; that of the patch embedding is over pixel codes `value - 128`. */
  readonly bias: Float32Array | null;
}

/** Codes of every searched weight under the scales of `layers`, made by the kernel that the search used. */
export async function quantizeWeights(
  { device, pool }: GpuContext,
  model: Model,
  layers: readonly LayerRecipe[],
): Promise<Map<string, QuantizedWeight>> {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const weights = new Map<string, QuantizedWeight>();
  for (const operation of searchedLayers(model.network)) {
    if (operation.kind !== 'linear') continue;
    const { inFeatures, outFeatures, name } = operation;
    const { b } = byName.get(name) as LayerRecipe;
    const { weight, bias } = layerWeight(model, operation);
    const scope = pool.scope();
    try {
      const words = codeWords(inFeatures);
      const codes = scope.acquire(4 * outFeatures * words, `${name} codes`);
      const dispatch = await quantizeUniform(
        device,
        {
          source: scope.upload(weight, `${name} weight`),
          inverseScales: scope.upload(
            Float32Array.from(b.scales, (scale) => 1 / scale),
            `${name} inverse scales`,
          ),
          codes,
        },
        {
          bits: b.bits,
          layout: 'row-major',
          candidates: 1,
          images: 1,
          heads: 1,
          rows: outFeatures,
          depth: inFeatures,
          offset: 0,
          imageStride: 0,
          headStride: 0,
          rowStride: inFeatures,
          depthStride: 1,
          groupsPerCandidate: b.scales.length,
          groupPerHead: 0,
          rowsPerGroup: outFeatures / b.scales.length,
        },
      );
      submit(device, [dispatch]);
      const padded = new Int8Array(await readBytes(device, codes, 4 * outFeatures * words));
      weights.set(name, {
        codes: withoutPadding(padded, outFeatures, inFeatures, 4 * words),
        shape: [outFeatures, inFeatures],
        scales: Float32Array.from(b.scales),
        bias,
      });
    } finally {
      scope.release();
    }
  }
  return weights;
}

function withoutPadding(padded: Int8Array, rows: number, columns: number, stride: number): Int8Array {
  if (columns === stride) return padded;
  const codes = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row++) codes.set(padded.subarray(row * stride, row * stride + columns), row * columns);
  return codes;
}
