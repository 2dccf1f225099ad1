import type { Network, Operation, Unit } from '../../model/graph.ts';

/** The rows of a tensor that the logits depend on; `all`, or these. */
export type LiveRows = 'all' | ReadonlySet<number>;

/**
 * The rows of every linear layer's output that the logits depend on. After the last attention the head reads the class token alone, or
 * the mean of the patches: what the layers of the last block do to other tokens changes nothing. Nor does what the projection of
 * windows does to padding.
 *
 * @returns by layer name
 */
export function liveRows({ units }: Network): Map<string, LiveRows> {
  const found = new Map<string, LiveRows>();
  let live: LiveRows = 'all';
  for (const unit of units.toReversed()) live = liveInput(unit, live, found);
  return found;
}

function liveInput(unit: Unit, output: LiveRows, found: Map<string, LiveRows>): LiveRows {
  const live = new Map<string, LiveRows>([[unit.output, output]]);
  const of = (tensor: string): LiveRows => live.get(tensor) ?? new Set();
  const need = (tensor: string, rows: LiveRows) => {
    const before = of(tensor);
    live.set(tensor, before === 'all' || rows === 'all' ? 'all' : new Set([...before, ...rows]));
  };
  for (const operation of unit.operations.toReversed()) {
    if (operation.kind === 'linear') found.set(operation.name, of(operation.output));
    for (const [tensor, rows] of reads(operation, of)) need(tensor, rows);
  }
  return of(unit.input);
}

/** What an operation reads to make the live rows of its output. */
function reads(operation: Operation, of: (tensor: string) => LiveRows): [string, LiveRows][] {
  switch (operation.kind) {
    case 'linear':
    case 'layerNorm':
    case 'gelu':
      return [[operation.input, of(operation.output)]];
    case 'add':
      return [operation.a, operation.b].map((tensor) => [tensor, of(operation.output)]);
    case 'gatherRows': {
      const live = of(operation.output);
      const read = live === 'all' ? [...operation.indices] : [...live].map((row) => operation.indices[row] as number);
      return [[operation.input, rowsOrAll(read, operation.rows)]];
    }
    case 'meanRows': {
      const { input, first, rows } = operation;
      return [
        [
          input,
          rowsOrAll(
            Array.from({ length: rows - first }, (_, i) => first + i),
            rows,
          ),
        ],
      ];
    }
    case 'softmax':
    case 'attentionBias':
    case 'tokens':
      return [[operation.input, 'all']]; // rows of heads, and rows that move: not told apart
    case 'matmul':
      return [operation.a, operation.b].map(({ tensor }) => [tensor, 'all']);
  }
}

/** Rows of `count`, -1 left out. */
function rowsOrAll(rows: readonly number[], count: number): LiveRows {
  const some = new Set(rows.filter((row) => row >= 0));
  return some.size === count ? 'all' : some;
}
