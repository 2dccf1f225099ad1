import { readF32 } from '../gpu/readback.ts';
import type { AttentionBiasOperation } from '../model/graph.ts';
import type { GpuContext } from '../quantize/context.ts';
import { CalibrationError } from './errors.ts';

/** Logits of windowed attention after its bias, `[images][windows][heads][tokens][tokens]`, some of them masked. */
type Masked = Pick<AttentionBiasOperation, 'windows' | 'heads' | 'tokens' | 'mask'>;

/** Whether the logit at `column` of row `row`, counted over all images, is masked: integer softmax leaves it out. */
export function isMasked({ windows, heads, tokens, mask }: Masked, row: number, column: number): boolean {
  if (!mask) return false;
  const first = (Math.floor(row / (heads * tokens)) % windows) * tokens;
  return mask[first + (row % tokens)] !== mask[first + column];
}

/**
 * Largest magnitude of each of `rows` rows of logits that is not masked: the -100 of those that are would be most of their range.
 *
 * @param source f32, whole images
 * @throws CalibrationError naming `name` when a logit is not finite
 */
export async function largestUnmasked(
  { device }: GpuContext,
  source: GPUBuffer,
  rows: number,
  masked: Masked,
  name: string,
): Promise<Float32Array> {
  const { tokens } = masked;
  const values = await readF32(device, source, rows * tokens);
  const largest = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < tokens; column++) {
      const magnitude = Math.abs(values[row * tokens + column] as number);
      if (!(magnitude < Infinity)) {
        throw new CalibrationError(`${name} holds values that are not finite; is the checkpoint damaged?`);
      }
      if (magnitude > (largest[row] as number) && !isMasked(masked, row, column)) largest[row] = magnitude;
    }
  }
  return largest;
}
