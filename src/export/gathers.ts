import { NO_ROW } from '../kernels/gatherWords.ts';
import type { GatherRowsOperation, Operation, Unit } from '../model/graph.ts';
import { ExportError } from './errors.ts';
import type { ProgramDraft } from './programDraft.ts';

/**
 * Rows in another order: a single row that a LayerNorm reads is picked there, others are copied. What was added before its rows
 * were gathered is written as the sum.
 */
export function addGatherRows(draft: ProgramDraft, unit: Unit, operation: GatherRowsOperation): void {
  const { features } = operation;
  const source = draft.flow.name(unit, operation.input);
  const own = draft.flow.name(unit, operation.output);
  const readers = draft.flow.readers(own).map((step) => step.operation);
  const [row, ...others] = operation.indices;
  if (row !== undefined && row >= 0 && others.length === 0 && readers.every(({ kind }) => kind === 'layerNorm')) {
    draft.selected.set(own, { tensor: source, row });
    return;
  }
  const tensor = draft.tensor(source);
  if (tensor.columns !== features) {
    throw new ExportError(`${own}: gathers rows of ${features} features, ${source} has ${tensor.columns}`);
  }
  const output = draft.sums.get(own) ?? own;
  const columns = readers[0] ? widthRead(readers[0], features) : features;
  const indices = Uint32Array.from(operation.indices, (index) => (index < 0 ? NO_ROW : index));
  const fill = draft.zeroPoints.get(source) ?? 0;
  if (fill !== 0) draft.zeroPoints.set(output, fill);
  draft.add(output, { ...tensor, rows: (indices.length * features) / columns, columns });
  draft.operations.push({ kind: 'gatherRows', name: output, input: source, output, indices, fill });
}

/** Features of the rows that an operation reads: several gathered rows may lie side by side. */
function widthRead(operation: Operation, features: number): number {
  if (operation.kind === 'layerNorm') return operation.features;
  return operation.kind === 'linear' ? operation.inFeatures : features;
}

/**
 * The rows of `other` in the order of what `gather` brings back to them, zeros where it crops: so the addition behind it can come
 * before it.
 *
 * @param windows the tensor that `gather` reads
 * @returns the name of the tensor
 */
export function addShortcut(draft: ProgramDraft, other: string, gather: GatherRowsOperation, windows: string): string {
  const output = `${windows}.shortcut`;
  const indices = new Uint32Array(gather.rows).fill(NO_ROW);
  gather.indices.forEach((index, row) => {
    if (index >= 0) indices[index] = row;
  });
  draft.add(output, { ...draft.tensor(other), rows: gather.rows });
  draft.operations.push({ kind: 'gatherRows', name: output, input: other, output, indices, fill: 0 });
  return output;
}
