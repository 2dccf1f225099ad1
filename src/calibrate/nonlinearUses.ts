import type {
  AttentionBiasOperation,
  GeluOperation,
  LayerNormOperation,
  Network,
  Operation,
  SoftmaxOperation,
  Unit,
} from '../model/graph.ts';
import { isSearched, type SearchedOperation } from '../model/graph.ts';
import { isFloatQuantizer, type LeftQuantizer, type RightQuantizer } from '../quantize/floatQuantizer.ts';
import { isGeluQuantizer, isSoftmaxQuantizer, RANGE_MARGIN, stepFor } from '../quantize/nonlinear.ts';
import type { ActivationQuantizer } from '../quantize/quantizer.ts';

/** A nonlinear operation whose integers are codes of the searched product that reads it, or 16-bit ones whose mean it reads. */
export interface NonlinearUse {
  readonly unit: Unit;
  readonly operation: SoftmaxOperation | GeluOperation | LayerNormOperation;
  /** Rows an image and columns of its input. */
  readonly rows: number;
  readonly columns: number;
  /** Whose quantizer of the operand `side` makes the codes. */
  readonly reader: SearchedOperation;
  readonly side: 'a' | 'b';
  /** Name among the ranges of the tensor whose integers it reads. */
  readonly range: string;
  /** The same of the tensor that it writes, when the reader has the mean of its rows. */
  readonly averaged: string | undefined;
  /** Windows of an image, which softmax has one after the other, and which of their logits are masked. */
  readonly windows: number;
  readonly masked: AttentionBiasOperation | undefined;
}

/** The nonlinear operations of a network in the order of its forward pass. One norm may be there twice, with two readers. */
export function nonlinearUses({ units }: Network): NonlinearUse[] {
  return units.flatMap((unit) =>
    unit.operations.flatMap((operation): NonlinearUse[] => {
      const { kind } = operation;
      if (kind !== 'softmax' && kind !== 'gelu' && kind !== 'layerNorm') return [];
      const read = readerOf(unit, operation.output);
      if (!read) return [];
      const { reader, side } = read;
      return [
        {
          ...{ unit, operation, ...rowsOf(operation, reader), reader, side },
          range: `${unit.name}.${wholeTensor(unit, operation.input)}`,
          averaged: read.averaged ? `${unit.name}.${operation.output}` : undefined,
          windows: reader.kind === 'matmul' ? reader.windows : 1,
          masked: kind === 'softmax' ? maskOf(unit, operation.input) : undefined,
        },
      ];
    }),
  );
}

/** The tensor that `tensor` has its rows of, or itself: rows keep the range of the whole. */
export function wholeTensor(unit: Unit, tensor: string): string {
  const selection = unit.operations.find(({ kind, output }) => kind === 'gatherRows' && output === tensor);
  return selection?.kind === 'gatherRows' ? wholeTensor(unit, selection.input) : tensor;
}

/** The bias that made the logits `tensor` when it has masked some. */
export function maskOf(unit: Unit, tensor: string): AttentionBiasOperation | undefined {
  const maker = unit.operations.find(({ output }) => output === tensor);
  return maker?.kind === 'attentionBias' && maker.mask ? maker : undefined;
}

/**
 * The quantizer whose codes the operation writes; undefined where integer inference has none for it.
 *
 * @param layer of the reader
 * @param ranges of the recipe
 */
export function codesWritten(
  use: NonlinearUse,
  layer: { readonly a: LeftQuantizer; readonly b: RightQuantizer } | undefined,
  ranges: (name: string) => number,
): ActivationQuantizer | undefined {
  const quantizer = layer?.[use.side];
  if (!quantizer || isFloatQuantizer(quantizer) || !hasIntegerForm(use, quantizer)) return undefined;
  if (use.averaged === undefined) return quantizer;
  const step = stepFor(RANGE_MARGIN * ranges(use.averaged), 16);
  return { type: 'uniform', bits: 16, granularity: 'tensor', scales: [step] };
}

/** Most after softmax and GELU, uniform ones after LayerNorm: of one scale, or of one a head for queries and keys. */
function hasIntegerForm({ operation, reader }: NonlinearUse, quantizer: ActivationQuantizer): boolean {
  switch (operation.kind) {
    case 'softmax':
      return isSoftmaxQuantizer(quantizer);
    case 'gelu':
      return isGeluQuantizer(quantizer);
    case 'layerNorm':
      return quantizer.type === 'uniform' && (reader.kind === 'matmul' || quantizer.scales.length === 1);
  }
}

interface Read {
  readonly reader: SearchedOperation;
  readonly side: 'a' | 'b';
  readonly averaged: boolean;
}

/** The first searched product that reads a tensor, or rows of it, or their mean. */
function readerOf(unit: Unit, tensor: string): Read | undefined {
  for (const other of unit.operations) {
    const side = isSearched(other) ? sideOf(other, tensor) : undefined;
    if (isSearched(other) && side) return { reader: other, side, averaged: false };
    if (!movesRows(other) || other.input !== tensor) continue;
    const behind = readerOf(unit, other.output);
    if (behind) return { ...behind, averaged: behind.averaged || other.kind === 'meanRows' };
  }
  return undefined;
}

function movesRows(operation: Operation) {
  return operation.kind === 'gatherRows' || operation.kind === 'meanRows';
}

function sideOf(operation: SearchedOperation, tensor: string): 'a' | 'b' | undefined {
  if (operation.kind === 'linear') return operation.input === tensor ? 'a' : undefined;
  if (operation.a.tensor === tensor) return 'a';
  return operation.b.tensor === tensor ? 'b' : undefined;
}

function rowsOf(operation: NonlinearUse['operation'], reader: SearchedOperation): { rows: number; columns: number } {
  switch (operation.kind) {
    case 'softmax':
      return { rows: operation.rows, columns: operation.columns };
    case 'layerNorm':
      return { rows: operation.rows, columns: operation.features };
    case 'gelu':
      return { rows: reader.rows, columns: operation.count / reader.rows };
  }
}
