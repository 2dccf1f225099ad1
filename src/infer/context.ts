import type { IntegerModel } from '../format/model.ts';
import { normWritesRows, type IntegerCodes, type IntegerOperation, type IntegerTensor } from '../format/program.ts';
import type { NumericArray } from '../gpu/buffers.ts';
import type { Bindable } from '../gpu/kernel.ts';
import type { TileChoice } from './tiles.ts';

/** Which operations run in float between the integer products. */
export type FloatKind = 'softmax' | 'gelu' | 'layerNorm';

/** What a step is prepared from: a batch size, where its tensors lie and what was uploaded for it. */
export interface StepContext {
  readonly device: GPUDevice;
  readonly images: number;
  /** Without the codes of weights, the tokens and attention biases, which are on the device alone. */
  readonly model: IntegerModel;
  /** Shape and meaning of a tensor of the program, one image of it. */
  tensor(name: string): IntegerTensor;
  /** Where a tensor of all images lies in the arena. An output is never in the buffer of a tensor that its operation reads. */
  activation(name: string): Bindable;
  /** The buffer of `key`: uploaded when the session was made (`modelParameters`), or once, from `make`, when it is first asked for. */
  parameter(key: string, make?: () => NumericArray): GPUBuffer;
  /**
   * A temporary of the step, two at a time in buffers of their own, at least `bytes` long. Its contents are junk; the next step
   * overwrites them.
   */
  scratch(slot: 'a' | 'b', bytes: number): Bindable;
  /** Largest |sum| that the accumulators of a linear can reach with its weights, by its name. */
  largestSum(name: string): number;
  /** The tile of each integer product. */
  readonly tiles: TileChoice;
}

/** Whether `operation` runs in float: one of a kind in `float`, but no LayerNorm of 16-bit results or of heads, which stays integer. */
export function runsInFloat(
  operation: IntegerOperation,
  float: ReadonlySet<FloatKind>,
  tensors: Readonly<Record<string, IntegerTensor>>,
): boolean {
  if (!(float as ReadonlySet<string>).has(operation.kind)) return false;
  return operation.kind !== 'layerNorm' || normWritesRows(tensors[operation.output] as IntegerTensor);
}

/** What the codes of `tensor` mean. */
export function codesOf({ codes }: IntegerTensor, name: string): IntegerCodes {
  if (!codes) throw new Error(`tensor ${name} has no codes`);
  return codes;
}

/** Inclusive bounds of signed codes of `bits`. */
export function codeBounds({ bits }: Pick<IntegerCodes, 'bits'>): { readonly qmin: number; readonly qmax: number } {
  return { qmin: -(2 ** (bits - 1)), qmax: 2 ** (bits - 1) - 1 };
}
