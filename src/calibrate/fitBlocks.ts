import type { SearchedOperation } from '../model/graph.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import type { UniformQuantizer } from '../quantize/quantizer.ts';

/** Why the blocks of a quantizer do not fit its operand; undefined when they do, or it has none. */
export function blockMisfit(
  operation: SearchedOperation,
  side: 'a' | 'b',
  quantizer: LeftQuantizer | RightQuantizer,
): string | undefined {
  if (quantizer.type !== 'block' && quantizer.type !== 'published-gelu') return undefined;
  if (operation.kind === 'matmul') return `operand ${side} of attention cannot be quantized as ${quantizer.type}`;
  const { rowBlocks, columnBlocks } =
    quantizer.type === 'block' ? quantizer : { rowBlocks: 1, columnBlocks: quantizer.scales.length };
  if (quantizer.scales.length !== rowBlocks * columnBlocks) {
    return `operand ${side} has ${quantizer.scales.length} scales, its ${rowBlocks} x ${columnBlocks} blocks make ${rowBlocks * columnBlocks}`;
  }
  if (side === 'a' && rowBlocks !== 1) return `operand a has ${rowBlocks} runs of tokens, only 1 is possible`;
  if (side === 'b' && operation.outFeatures % rowBlocks !== 0) {
    return `${operation.outFeatures} output features do not divide into ${rowBlocks} blocks`;
  }
  if (operation.inFeatures % columnBlocks !== 0) {
    return `${operation.inFeatures} input features do not divide into ${columnBlocks} blocks`;
  }
  return undefined;
}

/** Why an operand cannot have the zero point of its quantizer; undefined when it can, or has none. */
export function zeroPointMisfit(
  operation: SearchedOperation,
  side: 'a' | 'b',
  { zeroPoint, bits, scales }: UniformQuantizer,
): string | undefined {
  if (zeroPoint === undefined) return undefined;
  if (side === 'b' || operation.kind === 'matmul' || scales.length !== 1) {
    return `operand ${side} cannot have a zero point: only inputs of linear layers with one scale can`;
  }
  const most = 2 ** (bits - 1) - 1;
  return Math.abs(zeroPoint) > most ? `the zero point ${zeroPoint} is outside ${-most}..${most}` : undefined;
}
