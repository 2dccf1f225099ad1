import { outputsOf, type IntegerOperation, type IntegerProgram, type IntegerTensor } from '../../src/format/program.ts';
import type { OperationTime } from '../../src/infer/profile.ts';

/** The same layer of all blocks, or every operation of one kind. */
export interface LayerGroup {
  readonly name: string;
  readonly count: number;
  /** Of the device time of all operations. */
  readonly share: number;
  /** Of all multiply-accumulates; 0 for operations other than products. */
  readonly shareOfProducts: number;
  /** Integers written in the time in which the whole network writes one, on average. */
  readonly relativeRate: number;
  /** Multiply-accumulates a second, over those of the group of products that makes most; 0 where there are none. */
  readonly productRate: number;
}

interface Totals {
  count: number;
  milliseconds: number;
  products: number;
  written: number;
}

/** `times` of `program` in the order of their first operations, those with the same `key` together. */
export function layerGroups(
  program: IntegerProgram,
  times: readonly OperationTime[],
  key: (operation: OperationTime) => string,
): LayerGroup[] {
  const operations = new Map(program.operations.map((operation) => [operation.name, operation]));
  const groups = new Map<string, Totals>();
  const all: Totals = { count: 0, milliseconds: 0, products: 0, written: 0 };
  for (const time of times) {
    const group = groups.get(key(time)) ?? { count: 0, milliseconds: 0, products: 0, written: 0 };
    groups.set(key(time), group);
    const operation = operations.get(time.name);
    if (!operation) throw new Error(`no operation is called ${time.name}`);
    for (const totals of [group, all]) {
      totals.count++;
      totals.milliseconds += time.milliseconds;
      totals.products += productsOf(program, operation);
      totals.written += writtenBy(program, operation);
    }
  }
  const fastest = Math.max(...[...groups.values()].map(({ products, milliseconds }) => products / milliseconds));
  return [...groups].map(([name, { count, milliseconds, products, written }]) => ({
    name,
    count,
    share: milliseconds / all.milliseconds,
    shareOfProducts: products / all.products,
    relativeRate: written / milliseconds / (all.written / all.milliseconds),
    productRate: products / milliseconds / fastest,
  }));
}

/** `blocks.3.fc1` is one of `blocks.*.fc1`. */
export function layerOfAllBlocks({ name }: OperationTime): string {
  return name.replace(/^blocks\.\d+\./, 'blocks.*.');
}

/** Multiply-accumulates of a product, for one image. */
function productsOf({ tensors }: IntegerProgram, operation: IntegerOperation): number {
  const of = (name: string) => tensors[name] as IntegerTensor;
  switch (operation.kind) {
    case 'linear':
      return of(operation.input).rows * operation.inFeatures * operation.outFeatures;
    case 'product': {
      const [a, b] = [of(operation.a), of(operation.b)];
      return a.heads * a.rows * a.columns * (b.layout === 'right' ? b.columns : b.rows);
    }
    default:
      return 0;
  }
}

function writtenBy({ tensors }: IntegerProgram, operation: IntegerOperation): number {
  return outputsOf(operation).reduce((sum, name) => {
    const { heads, rows, columns } = tensors[name] as IntegerTensor;
    return sum + heads * rows * columns;
  }, 0);
}
