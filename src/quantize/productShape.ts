import { codeWords, type CodeKind } from '../kernels/codes.ts';
import { planesDepth } from '../kernels/quantizeLevels.ts';
import { twinShift, type ActivationQuantizer } from './quantizer.ts';

/** A product of codes as the kernels see it, which read levels as twin codes of two planes, and a zero point as a plane of its own. */
export interface ProductShape {
  /** Depth of both operands: that of both planes, padding included, where there are two. */
  readonly depth: number;
  /** u32 words of that depth. */
  readonly words: number;
  /** How often operand B lies along that depth. */
  readonly repeat: 1 | 2;
  readonly kind: CodeKind;
  /** Width of a code of operand A. */
  readonly bits: number;
  readonly shift: number;
  /** Largest sum of |integers| of operand A along the depth, where that is less than depth times the largest code. */
  readonly reach: number | undefined;
}

/** The product of `depth` values under `a` with operand B. */
export function productShape(depth: number, a: ActivationQuantizer): ProductShape {
  const shift = twinShift(a);
  const both = planesDepth(depth);
  if (a.type === 'uniform' && a.zeroPoint !== undefined) {
    const reach = depth * (2 ** (a.bits - 1) + Math.abs(a.zeroPoint));
    return { depth: both, words: codeWords(both), repeat: 2, kind: 'uniform', bits: a.bits, shift, reach };
  }
  if (a.type !== 'levels') {
    const kind = a.type === 'pixels' ? 'uniform' : a.type;
    return { depth, words: codeWords(depth), repeat: 1, kind, bits: a.bits, shift, reach: undefined };
  }
  const kind = a.operand === 'softmax' ? 'twin-softmax' : 'twin-gelu';
  const largest = Math.max(...a.levels.map(Math.abs));
  return { depth: both, words: codeWords(both), repeat: 2, kind, bits: 8, shift, reach: largest * depth };
}
