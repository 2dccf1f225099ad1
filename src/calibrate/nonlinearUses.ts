import type { GeluOperation, LayerNormOperation, Network, SoftmaxOperation, Unit } from '../model/graph.ts';
import { isSearched, type SearchedOperation } from '../model/graph.ts';
import { isGeluQuantizer, isSoftmaxQuantizer } from '../quantize/nonlinear.ts';
import type { ActivationQuantizer } from '../quantize/quantizer.ts';

/** A nonlinear operation whose integers are codes of the searched product that reads it. */
export interface NonlinearUse {
  readonly unit: Unit;
  readonly operation: SoftmaxOperation | GeluOperation | LayerNormOperation;
  /** Rows an image and columns of its input. */
  readonly rows: number;
  readonly columns: number;
  /** Whose `a` quantizer makes the codes. */
  readonly reader: SearchedOperation;
  /** Name among the ranges of the tensor whose integers it reads. */
  readonly range: string;
}

/** The nonlinear operations of a network in the order of its forward pass. One norm may be there twice, with two readers. */
export function nonlinearUses({ units }: Network): NonlinearUse[] {
  return units.flatMap((unit) =>
    unit.operations.flatMap((operation): NonlinearUse[] => {
      const { kind } = operation;
      if (kind !== 'softmax' && kind !== 'gelu' && kind !== 'layerNorm') return [];
      const reader = unit.operations
        .filter(isSearched)
        .find((other) => (other.kind === 'linear' ? other.input : other.a.tensor) === operation.output);
      if (!reader) return [];
      const range = `${unit.name}.${wholeTensor(unit, operation.input)}`;
      return [{ unit, operation, ...rowsOf(operation, reader), reader, range }];
    }),
  );
}

/** The tensor that `tensor` has its rows of, or itself: rows keep the range of the whole. */
export function wholeTensor(unit: Unit, tensor: string): string {
  const selection = unit.operations.find(({ kind, output }) => kind === 'gatherRows' && output === tensor);
  return selection?.kind === 'gatherRows' ? wholeTensor(unit, selection.input) : tensor;
}

/** Whether integer inference has codes for this operation: most after softmax and GELU, one scale after LayerNorm. */
export function hasIntegerForm({ operation }: NonlinearUse, quantizer: ActivationQuantizer): boolean {
  switch (operation.kind) {
    case 'softmax':
      return isSoftmaxQuantizer(quantizer);
    case 'gelu':
      return isGeluQuantizer(quantizer);
    case 'layerNorm':
      return quantizer.type === 'uniform' && quantizer.scales.length === 1;
  }
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
