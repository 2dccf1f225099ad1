import type { MatrixView } from '../../model/graph.ts';
import { ExportError } from '../errors.ts';
import type { OnnxGraph, Tensor } from './graph.ts';

/** One axis of a view: how many steps of how many elements. */
interface Axis {
  readonly count: number;
  readonly stride: number;
}

/** The matrix of every head of a tensor, `[heads, rows, columns]`. */
export function readMatrices(
  graph: OnnxGraph,
  tensor: Tensor,
  elements: number,
  view: MatrixView,
  [heads, rows, columns]: readonly [number, number, number],
): Tensor {
  const axes = matrixAxes(view, [heads, rows, columns]);
  const order = byStride(axes);
  let size = elements;
  let rest = view.offset;
  const shape: number[] = [];
  const firsts: number[] = [];
  for (const axis of order) {
    const { count, stride } = axes[axis] as Axis;
    if (!(stride > 0) || size % stride !== 0 || Math.floor(rest / stride) + count > size / stride) throw strange(view);
    shape.push(size / stride);
    firsts.push(Math.floor(rest / stride));
    rest %= stride;
    size = stride;
  }
  if (size > 1) {
    shape.push(size);
    firsts.push(rest);
  }
  let matrices = graph.reshape(tensor, shape);
  firsts.forEach((first, i) => {
    matrices = graph.slice(matrices, i, first, axes[order[i] as number]?.count ?? 1);
  });
  const wanted = [...order].sort((a, b) => a - b).map((axis) => order.indexOf(axis));
  const turned = graph.transpose(matrices, size > 1 ? [...wanted, order.length] : wanted);
  return graph.reshape(turned, [heads, rows, columns]);
}

/** Matrices `[heads, rows, columns]` as the whole of the tensor that `view` describes. */
export function writeMatrices(graph: OnnxGraph, matrices: Tensor, elements: number, view: MatrixView): Tensor {
  const [heads, rows, columns] = matrices.dims as readonly [number, number, number];
  const axes = matrixAxes(view, [heads, rows, columns]);
  const order = byStride(axes);
  let size = 1;
  for (const axis of [...order].reverse()) {
    const { count, stride } = axes[axis] as Axis;
    if (stride !== size) throw strange(view);
    size *= count;
  }
  if (size !== elements || view.offset !== 0) throw strange(view);
  const single = axes.flatMap(({ count }, axis) => (count === 1 ? [axis] : []));
  return graph.transpose(matrices, [...single, ...order]);
}

function matrixAxes(view: MatrixView, [heads, rows, columns]: readonly [number, number, number]): Axis[] {
  return [
    { count: heads, stride: view.headStride },
    { count: rows, stride: view.rowStride },
    { count: columns, stride: view.columnStride },
  ];
}

/** The axes with more than one entry, the one of the largest stride first. */
function byStride(axes: readonly Axis[]): number[] {
  const wide = axes.flatMap(({ count }, axis) => (count > 1 ? [axis] : []));
  return wide.sort((a, b) => (axes[b] as Axis).stride - (axes[a] as Axis).stride);
}

function strange(view: MatrixView): ExportError {
  return new ExportError(`no operators of ONNX read or write ${JSON.stringify(view)}`);
}
