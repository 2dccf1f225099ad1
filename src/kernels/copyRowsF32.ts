import wgsl from '../../shaders/copy_rows_f32.wgsl?raw';
import { gridFor, prepare, type Dispatch, type Kernel } from '../gpu/kernel.ts';
import { requireSizes } from './sizes.ts';

export const copyRowsF32Kernel = {
  name: 'copy_rows_f32',
  wgsl,
  bindings: { source: 'read', destination: 'read_write' },
  params: {
    images: 'u32',
    rows: 'u32',
    columns: 'u32',
    source_offset: 'u32',
    source_outer: 'u32',
    source_row: 'u32',
    target_offset: 'u32',
    target_outer: 'u32',
    target_row: 'u32',
  },
  overrides: { WORKGROUP_SIZE: 64 },
} as const satisfies Kernel;

export interface CopyRowsF32Shape {
  readonly images: number;
  readonly rows: number;
  readonly columns: number;
  readonly sourceOffset: number;
  readonly sourceOuter: number;
  readonly sourceRow: number;
  readonly targetOffset: number;
  readonly targetOuter: number;
  readonly targetRow: number;
}

/**
 * Prepares a copy of a block of rows of every image between two strided places, bit for bit.
 *
 * @param buffers.source f32
 * @param buffers.destination f32, another buffer; elements outside the block keep their contents
 * @throws RangeError for a size below 1
 */
export async function copyRowsF32(
  device: GPUDevice,
  buffers: Readonly<Record<keyof typeof copyRowsF32Kernel.bindings, GPUBuffer>>,
  shape: CopyRowsF32Shape,
): Promise<Dispatch> {
  const { images, rows, columns } = shape;
  requireSizes({ images, rows, columns });
  const grid = gridFor(device, images * rows * columns, copyRowsF32Kernel.overrides.WORKGROUP_SIZE);
  return prepare(
    device,
    copyRowsF32Kernel,
    buffers,
    {
      images: shape.images,
      rows: shape.rows,
      columns: shape.columns,
      source_offset: shape.sourceOffset,
      source_outer: shape.sourceOuter,
      source_row: shape.sourceRow,
      target_offset: shape.targetOffset,
      target_outer: shape.targetOuter,
      target_row: shape.targetRow,
    },
    grid,
  );
}
