/** Where the class token looks, in the float network and in the integer one. */
import {
  createFloatRunner,
  type CalibrationImage,
  type Gpu,
  type Model,
  type ReferenceEngine,
} from '../../src/index.ts';
import type { AttentionMap } from '../protocol.ts';

/**
 * Attention of the first token to every patch, the mean over heads, block by block. Blocks with windows have no such map.
 */
export async function attentionMaps(
  gpu: Gpu,
  model: Model,
  engine: ReferenceEngine,
  image: CalibrationImage,
): Promise<AttentionMap[]> {
  const runner = await createFloatRunner(gpu, model);
  const float = await runner.attention(image.rgb).finally(() => runner.destroy());
  return [...engine.attention(image.rgb)].flatMap(([block, heads]): AttentionMap[] => {
    const own = float.get(block);
    const integer = patchShares(heads);
    return own ? [{ block, side: Math.sqrt(integer.length), float: patchShares(own), integer }] : [];
  });
}

/** The mean of the heads, without what goes to the prefix tokens before the square of patches. */
function patchShares(heads: readonly Float32Array[]): Float32Array {
  const columns = heads[0]?.length ?? 0;
  const patches = Math.floor(Math.sqrt(columns)) ** 2;
  return Float32Array.from({ length: patches }, (_, patch) => {
    const sum = heads.reduce((total, head) => total + (head[columns - patches + patch] as number), 0);
    return sum / heads.length;
  });
}
