import type { StridedMatrix } from '../kernels/matmulF32.ts';
import type { MatrixView, MeanRowsOperation, Unit } from './graph.ts';
import type { ParameterStore } from './parameterStore.ts';

export function tensorOf(tensors: ReadonlyMap<string, GPUBuffer>, name: string): GPUBuffer {
  const buffer = tensors.get(name);
  if (!buffer) throw new Error(`tensor ${name} is read before it is computed`);
  return buffer;
}

/** Elements per image of a tensor of `unit`. */
export function elementsOf(unit: Unit, name: string): number {
  const elements = unit.elements[name];
  if (elements === undefined) throw new Error(`unit ${unit.name} has no tensor ${name}`);
  return elements;
}

/** A view of one head as the product kernel takes it: each of the `windows` of an image counts as an image. */
export function stridedMatrix(unit: Unit, view: MatrixView, windows: number): StridedMatrix {
  return {
    offset: view.offset,
    outerStride: elementsOf(unit, view.tensor) / windows,
    innerStride: view.headStride,
    rowStride: view.rowStride,
    columnStride: view.columnStride,
  };
}

/** The row whose product with the input is its mean: f32 `[rows]`, 0 before `first`. */
export function meanWeights(parameters: ParameterStore, operation: MeanRowsOperation): GPUBuffer {
  const { first, rows } = operation;
  return parameters.constant(operation, () => new Float32Array(rows).fill(1 / (rows - first), first));
}
