import type { MODEL_VERSIONS } from './manifest.ts';
import type { IntegerModel } from './model.ts';
import type { IntegerOperation } from './program.ts';
import { normWritesRows } from './program.ts';

export type ModelVersion = (typeof MODEL_VERSIONS)[number];

type Versioned = Pick<IntegerModel, 'program' | 'preprocessing'>;

/**
 * What of a model came with version 3, in words: windows, gathered rows, biased scores, means, norms other than rows of codes, two
 * filters.
 */
export function newsOf({ program: { tensors, operations }, preprocessing }: Versioned): string | undefined {
  const { interpolation } = preprocessing;
  if (interpolation === 'nearest' || interpolation === 'hamming') return `the interpolation "${interpolation}"`;
  const windowed = Object.entries(tensors).find(([, { windows }]) => windows !== undefined);
  if (windowed) return `windows, as of the tensor "${windowed[0]}"`;
  const isNew = (operation: IntegerOperation) => {
    const { kind } = operation;
    if (kind === 'gatherRows' || kind === 'attentionBias' || kind === 'meanRows') return true;
    const output = kind === 'layerNorm' ? tensors[operation.output] : undefined;
    return output !== undefined && !normWritesRows(output);
  };
  const operation = operations.find(isNew);
  return operation && `such a ${operation.kind} as "${operation.name}"`;
}

/** The lowest version that holds a model. */
export function leastVersion(model: Versioned): ModelVersion {
  return newsOf(model) === undefined ? '2' : '3';
}
