import { submit } from '../gpu/kernel.ts';
import { readBytes } from '../gpu/readback.ts';
import { codeWords } from '../kernels/codes.ts';
import { quantizeUniform } from '../kernels/quantizeUniform.ts';
import type { LinearOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { GpuContext } from '../quantize/context.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import type { UniformQuantizer } from '../quantize/quantizer.ts';

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

/** Nearest codes of the weight of one layer under the scales of `b`, made by the kernel that the search used. */
export async function quantizeWeight(
  { device, pool }: GpuContext,
  model: Model,
  operation: LinearOperation,
  b: UniformQuantizer,
): Promise<QuantizedWeight> {
  const { inFeatures, outFeatures, name } = operation;
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
        restricted: b.restricted ?? false,
      },
    );
    submit(device, [dispatch]);
    const padded = new Int8Array(await readBytes(device, codes, 4 * outFeatures * words));
    return {
      codes: withoutPadding(padded, outFeatures, inFeatures, 4 * words),
      shape: [outFeatures, inFeatures],
      scales: Float32Array.from(b.scales),
      bias,
    };
  } finally {
    scope.release();
  }
}

function withoutPadding(padded: Int8Array, rows: number, columns: number, stride: number): Int8Array {
  if (columns === stride) return padded;
  const codes = new Int8Array(rows * columns);
  for (let row = 0; row < rows; row++) codes.set(padded.subarray(row * stride, row * stride + columns), row * columns);
  return codes;
}
