import type { CodeKind } from '../kernels/codes.ts';
import type { NonlinearCodes } from '../kernels/levels.ts';
import type { IntegerCodes } from './program.ts';

/** What the codes of a tensor are to the kernels that write them and to the products that read them. */

/** Codes of a left operand as a product reads them: levels are twin codes of 8 bits in two planes. */
export function operandCodes({ kind, bits, shift }: IntegerCodes): {
  readonly kind: CodeKind;
  readonly bits: number;
  readonly shift: number;
  readonly planes: 1 | 2;
} {
  if (kind !== 'levels-softmax' && kind !== 'levels-gelu') return { kind, bits, shift, planes: 1 };
  return { kind: kind === 'levels-softmax' ? 'twin-softmax' : 'twin-gelu', bits: 8, shift, planes: 2 };
}

/** The same codes as a softmax or GELU writes them. */
export function nonlinearCodes({ kind, levels }: IntegerCodes): NonlinearCodes {
  if (levels) return { kind: 'levels', levels };
  return { kind: kind === 'uniform' ? 'uniform' : 'twin' };
}
