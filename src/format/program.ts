import type { CodeKind } from '../kernels/codes.ts';
import type { Dyadic } from '../kernels/dyadic.ts';
import type { IntGeluConstants } from '../kernels/geluConstants.ts';
import type { IntLayerNormForm } from '../kernels/layerNormConstants.ts';
import type { TwinBoundary } from '../kernels/quantizeTwinSoftmax.ts';
import type { IntSoftmaxConstants } from '../kernels/softmaxConstants.ts';

/**
 * An integer network as data: a straight-line list of operations over named tensors, from the bytes of an image to its logits.
 * It is what a model file stores and all that inference knows about the network. Shapes are per image.
 */
export interface IntegerProgram {
  /** Tensor of layout `pixels`. */
  readonly input: string;
  /** The logits, `int16` or `int32`, one row. */
  readonly output: string;
  readonly tensors: Readonly<Record<string, IntegerTensor>>;
  /** Each tensor but the input is written by exactly one operation, before any that reads it. */
  readonly operations: readonly IntegerOperation[];
}

/**
 * How a tensor `[heads][rows][columns]` lies in memory; the last five are those of `denseOutput`.
 * - `pixels`: uint8 `[rows][columns][3]`, heads 1
 * - `left`, `right`, `right-transposed`: packed codes, an operand of a product
 * - `int16`, `int32`: row-major integers
 */
export type IntegerLayout = 'pixels' | 'left' | 'right' | 'right-transposed' | 'int16' | 'int32';

export interface IntegerTensor {
  readonly layout: IntegerLayout;
  /** Windows of an image behind each other, each `[heads][rows][columns]`; absent for 1. */
  readonly windows?: number;
  readonly heads: number;
  readonly rows: number;
  readonly columns: number;
  /** Real value of one integer unit (s_R1 for twin ranges): one for the whole tensor, or one a head. */
  readonly scales: readonly number[];
  /** What a code means; present exactly in the layouts of codes. */
  readonly codes?: IntegerCodes;
}

export interface IntegerCodes {
  readonly kind: CodeKind | LevelKind;
  /** Flag included; of levels, of which there are at most 2^bits, as many as tell them apart. */
  readonly bits: number;
  /** Twin shift; 0 for uniform codes, `PLANE_SHIFT` for levels. */
  readonly shift: number;
  /** Of `twin-softmax` codes: the rule by which a value takes its range. */
  readonly boundary?: TwinBoundary;
  /** Of levels: the integers, ascending, in units of the scale. */
  readonly levels?: readonly number[];
}

/** Any integers, in two planes of twin codes of 8 bits: `128 high + low` after softmax, `128 high - low` after GELU. */
export type LevelKind = 'levels-softmax' | 'levels-gelu';

/** `output = pixels - 128`, cut into patches: `[patches][3 patchSize^2]` in the order of a flattened weight. */
export interface PatchesOperation {
  readonly kind: 'patches';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly patchSize: number;
}

/**
 * `input * weight^T + bias`, rescaled per output feature. Parameters `LinearParameters` by name. The output features are shared
 * out to `outputs` in order: a tensor `[heads][rows][columns]` takes heads * columns of them from `first` on.
 */
export interface LinearOperation {
  readonly kind: 'linear';
  readonly name: string;
  readonly input: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly weightBits: number;
  readonly outputs: readonly { readonly tensor: string; readonly first: number }[];
  /** An int16 tensor of the shape of the only output, rescaled and added after the rescale of the product. */
  readonly residual: ({ readonly tensor: string } & Dyadic) | null;
}

/**
 * `a * b` per head. a is `left`, b is `right` (`a b`) or `right-transposed` (`a b^T`). The output has the product's heads, or
 * heads 1 with the heads side by side in its columns.
 */
export interface ProductOperation {
  readonly kind: 'product';
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly output: string;
  /** Added to the sums, one a head, where the codes of the output count from elsewhere than 0; none for an int32 output. */
  readonly bias: readonly number[] | null;
  /** One a head; none for an int32 output. */
  readonly rescales: readonly Dyadic[] | null;
}

/** `output = [prefix; saturate(input + position)]`, all int16 in one scale. Parameters `TokensParameters` by name. */
export interface TokensOperation {
  readonly kind: 'tokens';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly prefixRows: number;
}

/**
 * LayerNorm of int16 rows into codes or int16. An output with heads takes a row as that many rows, each normalised by itself.
 * Parameters `NormParameters` by name.
 */
export interface LayerNormOperation {
  readonly kind: 'layerNorm';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** The only row of the input that is read, or null for all. */
  readonly row: number | null;
  readonly form: IntLayerNormForm;
  /** In units of (scale of the input / features)^2; 0 in the published form. Below 2^53. */
  readonly epsilon: number;
  /** The real epsilon, for a float LayerNorm in its place. */
  readonly floatEpsilon: number;
}

/** Softmax of int32 accumulators, rescaled per head to logits, into twin codes, levels or uniform codes. */
export interface SoftmaxOperation {
  readonly kind: 'softmax';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** Real logit of a unit of the input: factor * its scale. */
  readonly factor: number;
  /** Width of the rescaled logits, 8 to 16. */
  readonly logitBits: number;
  /** One a head. */
  readonly rescales: readonly Dyadic[];
  /** From probabilities (2^-24) to uniform codes or eighths of a level's unit, one a head; none for twin codes. */
  readonly codeRescales: readonly Dyadic[] | null;
  readonly constants: IntSoftmaxConstants;
}

/**
 * GELU of uniform 8-bit codes or int16 into twin codes, levels or uniform codes; `multiplier` and `multiplierShift` of the constants
 * lead to R1, to eighths of a level's unit or to the codes.
 */
export interface GeluOperation {
  readonly kind: 'gelu';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly constants: IntGeluConstants;
}

/**
 * Rows of codes or int16 in another order. Where the columns of the output are several times those of the input, so many rows lie
 * side by side.
 */
export interface GatherRowsOperation {
  readonly kind: 'gatherRows';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** Row of the input for each row of the input's columns of the output, or `NO_ROW` for one of `fill`. */
  readonly indices: Uint32Array;
  /** The integer that stands for 0. */
  readonly fill: number;
}

/** Bias and mask of windowed attention on int32 scores. Parameters `BiasParameters` by name. */
export interface AttentionBiasOperation {
  readonly kind: 'attentionBias';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** Biases of one head. */
  readonly entries: number;
  /** `[rows][columns]`, which of them each pair of tokens takes. */
  readonly index: Uint32Array;
  /** `[windows][rows]`: tokens of different regions do not attend to each other; null for no mask. */
  readonly regions: Uint32Array | null;
}

/** Mean of int16 rows from `first` on, as codes or int16: their sum and `bias` rescaled. */
export interface MeanRowsOperation {
  readonly kind: 'meanRows';
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly first: number;
  /** 0 but where the codes of the output count from elsewhere. */
  readonly bias: number;
  readonly rescale: Dyadic;
}

export type IntegerOperation =
  | PatchesOperation
  | LinearOperation
  | ProductOperation
  | TokensOperation
  | LayerNormOperation
  | SoftmaxOperation
  | GeluOperation
  | GatherRowsOperation
  | AttentionBiasOperation
  | MeanRowsOperation;

/** Windows of an image in a tensor. */
export function windowsOf({ windows = 1 }: IntegerTensor): number {
  return windows;
}

/** Whether a LayerNorm writes what a float one does as well: rows of codes, not 16-bit integers or heads of their own. */
export function normWritesRows({ layout, heads }: IntegerTensor): boolean {
  return layout === 'left' && heads === 1;
}

/** Tensors that an operation reads, in the order of its fields. */
export function inputsOf(operation: IntegerOperation): string[] {
  switch (operation.kind) {
    case 'linear':
      return operation.residual ? [operation.input, operation.residual.tensor] : [operation.input];
    case 'product':
      return [operation.a, operation.b];
    default:
      return [operation.input];
  }
}

/** Tensors that an operation writes. */
export function outputsOf(operation: IntegerOperation): string[] {
  return operation.kind === 'linear' ? operation.outputs.map(({ tensor }) => tensor) : [operation.output];
}
