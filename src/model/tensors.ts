import type { StridedMatrix } from '../kernels/matmulF32.ts';
import type { MatrixView, Unit } from './graph.ts';

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

/** A view of one head as the product kernel takes it: images lie one whole tensor apart. */
export function stridedMatrix(unit: Unit, view: MatrixView): StridedMatrix {
  return {
    offset: view.offset,
    outerStride: elementsOf(unit, view.tensor),
    innerStride: view.headStride,
    rowStride: view.rowStride,
    columnStride: view.columnStride,
  };
}
