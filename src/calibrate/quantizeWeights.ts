import { submit } from '../gpu/kernel.ts';
import { readBytes } from '../gpu/readback.ts';
import { codeWords } from '../kernels/codes.ts';
import { quantizeUniform } from '../kernels/quantizeUniform.ts';
import type { LinearOperation } from '../model/graph.ts';
import type { Model } from '../model/load.ts';
import type { GpuContext } from '../quantize/context.ts';
import { layerWeight } from '../quantize/layerWeight.ts';
import type { RightQuantizer } from '../quantize/floatQuantizer.ts';

/** A weight as integers: `weight[o, i] ~ codes[o, i] * scale of o`, or of its block. */
export interface QuantizedWeight {
  /** `[outFeatures, inFeatures]` */
  readonly codes: Int8Array;
  readonly shape: readonly [outFeatures: number, inFeatures: number];
  /** f32, one per equal run of output features, or for each block. */
  readonly scales: Float32Array;
  /** f32 `[outFeatures]`; that of the patch embedding is over pixel codes `value - 128`. */
  readonly bias: Float32Array | null;
}

/** Nearest codes of the weight of one layer under the scales of `b`, made by the kernel that the search used. */
export async function quantizeWeight(
  { device, pool }: GpuContext,
  model: Model,
  operation: LinearOperation,
  b: RightQuantizer,
): Promise<QuantizedWeight> {
  const { inFeatures, outFeatures, name } = operation;
  const { weight, bias } = layerWeight(model, operation);
  const [rowBlocks, columnBlocks] = b.type === 'block' ? [b.rowBlocks, b.columnBlocks] : [b.scales.length, 1];
  const width = inFeatures / columnBlocks;
  const scope = pool.scope();
  try {
    const words = columnBlocks * outFeatures * codeWords(width);
    const codes = scope.acquire(4 * words, `${name} codes`);
    const byColumns = Float32Array.from(b.scales, (_, i) => {
      return 1 / (b.scales[(i % rowBlocks) * columnBlocks + Math.floor(i / rowBlocks)] as number);
    });
    const dispatch = await quantizeUniform(
      device,
      {
        source: scope.upload(weight, `${name} weight`),
        inverseScales: scope.upload(byColumns, `${name} inverse scales`),
        codes,
      },
      {
        bits: b.bits,
        layout: 'row-major',
        candidates: 1,
        images: 1,
        heads: columnBlocks,
        rows: outFeatures,
        depth: width,
        offset: 0,
        imageStride: 0,
        headStride: width,
        rowStride: inFeatures,
        depthStride: 1,
        groupsPerCandidate: b.scales.length,
        groupPerHead: 1,
        rowsPerGroup: outFeatures / rowBlocks,
        restricted: b.restricted ?? false,
      },
    );
    submit(device, [dispatch]);
    const blocks = new Int8Array(await readBytes(device, codes, 4 * words));
    return {
      codes: joinBlocks(blocks, outFeatures, width, columnBlocks),
      shape: [outFeatures, inFeatures],
      scales: Float32Array.from(b.scales),
      bias,
    };
  } finally {
    scope.release();
  }
}

/** Codes `[columnBlocks][rows][width]`, rows padded to words, side by side as `[rows][columnBlocks * width]`. */
function joinBlocks(blocks: Int8Array, rows: number, width: number, columnBlocks: number): Int8Array {
  const stride = 4 * codeWords(width);
  if (columnBlocks === 1 && width === stride) return blocks;
  const codes = new Int8Array(rows * width * columnBlocks);
  for (let line = 0; line < rows * columnBlocks; line++) {
    const [block, row] = [Math.floor(line / rows), line % rows];
    codes.set(blocks.subarray(line * stride, line * stride + width), (row * columnBlocks + block) * width);
  }
  return codes;
}
