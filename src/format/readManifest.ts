import { findDuplicateKey } from '../io/duplicateKey.ts';
import { FormatError } from '../io/errors.ts';
import { JsonReader } from '../io/jsonReader.ts';
import type { Preprocessing } from '../io/preprocess.ts';
import { LEVEL_LIMITS, PLANE_SHIFT, type LevelOperand } from '../kernels/quantizeLevels.ts';
import type { ArchitectureSummary, Provenance } from './model.ts';
import type { IntegerCodes, IntegerProgram, IntegerTensor } from './program.ts';
import { isName, LARGEST_SIZE, MOST_ELEMENTS, readName } from './manifestFields.ts';
import { readOperation } from './readOperation.ts';

/** A manifest with every member of the right type and in its range; whether the members fit each other is not checked. */
export interface Manifest {
  readonly architecture: ArchitectureSummary;
  readonly preprocessing: Preprocessing;
  readonly labels: readonly string[] | null;
  readonly provenance: Provenance;
  readonly program: IntegerProgram;
  /** Of the linear operations: the width that a bias is stored in, 0 for none. */
  readonly biasBits: ReadonlyMap<string, number>;
}

/**
 * @param text the `manifest` of the metadata
 * @param file name for messages
 * @param tables those of the file by their numbers
 * @throws FormatError naming the file, the member and the value seen
 */
export function readManifest(text: string, file: string, tables: readonly Uint32Array[]): Manifest {
  const document = new JsonReader(parse(text, file), file, 'manifest');
  document.only(['architecture', 'preprocessing', 'labels', 'provenance', 'input', 'output', 'tensors', 'operations']);
  const operations = document.field('operations').items();
  const architecture = readArchitecture(document.field('architecture'));
  return {
    architecture,
    preprocessing: readPreprocessing(document.field('preprocessing')),
    labels: readLabels(document.field('labels'), architecture.numClasses),
    provenance: readProvenance(document.field('provenance')),
    program: {
      input: readName(document.field('input')),
      output: readName(document.field('output')),
      tensors: readTensors(document.field('tensors')),
      operations: operations.map((operation) => readOperation(operation, tables)),
    },
    biasBits: new Map(
      operations
        .filter((operation) => operation.field('kind').value === 'linear')
        .map((operation) => [operation.field('name').text(), readBiasBits(operation.field('biasBits'))]),
    ),
  };
}

function parse(text: string, file: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${file}: the manifest is not JSON (${(cause as Error).message}). Export the model again.`, {
      cause,
    });
  }
  const twice = findDuplicateKey(text);
  if (twice !== undefined) {
    throw new FormatError(`${file}: the manifest names ${JSON.stringify(twice)} twice. Export the model again.`);
  }
  return value;
}

function readArchitecture(architecture: JsonReader): ArchitectureSummary {
  architecture.only(['name', 'imageSize', 'patchSize', 'embedDim', 'depth', 'heads', 'hiddenDim', 'numClasses']);
  const size = (key: string) => architecture.field(key).integer(1, LARGEST_SIZE);
  return {
    name: architecture.field('name').text(),
    imageSize: size('imageSize'),
    patchSize: size('patchSize'),
    embedDim: size('embedDim'),
    depth: size('depth'),
    heads: size('heads'),
    hiddenDim: size('hiddenDim'),
    numClasses: size('numClasses'),
  };
}

function readPreprocessing(p: JsonReader): Preprocessing {
  p.only(['width', 'height', 'resizeShortestEdge', 'interpolation', 'cropRounding', 'rescale', 'mean', 'std']);
  const size = (reader: JsonReader) => reader.integer(1, LARGEST_SIZE);
  const edge = p.field('resizeShortestEdge');
  return {
    width: size(p.field('width')),
    height: size(p.field('height')),
    resizeShortestEdge:
      typeof edge.value === 'number'
        ? size(edge)
        : { width: size(edge.field('width')), height: size(edge.field('height')) },
    interpolation: p.field('interpolation').word(['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos']),
    cropRounding: p.field('cropRounding').word(['half-even', 'floor']),
    rescale: p.field('rescale').positive(),
    mean: threeOf(p.field('mean'), (reader) => reader.number(-1e6, 1e6)),
    std: threeOf(p.field('std'), (reader) => reader.positive()),
  };
}

function threeOf(reader: JsonReader, read: (item: JsonReader) => number): [number, number, number] {
  const items = reader.items().map(read);
  return items.length === 3 ? (items as [number, number, number]) : reader.refuse('3 numbers');
}

function readLabels(labels: JsonReader, numClasses: number): readonly string[] | null {
  if (labels.value === null) return null;
  const names = labels.items().map((label) => (typeof label.value === 'string' ? label.value : label.refuse('a text')));
  if (names.length !== numClasses) labels.refuse(`null or ${numClasses} names, one a class, not ${names.length}`);
  return names;
}

function readProvenance(provenance: JsonReader): Provenance {
  provenance.only(['weightsSha256', 'recipeSha256', 'options', 'calibrationImages', 'writtenBy']);
  return {
    weightsSha256: provenance.field('weightsSha256').hash(),
    recipeSha256: provenance.field('recipeSha256').hash(),
    options: provenance.field('options').value ?? null,
    calibrationImages: provenance.field('calibrationImages').integer(0, 1e9),
    writtenBy: provenance.field('writtenBy').text(),
  };
}

function readTensors(tensors: JsonReader): Record<string, IntegerTensor> {
  return Object.fromEntries(
    tensors.entries().map(([name, entry]) => {
      const shown = JSON.stringify(name.slice(0, 60));
      if (!isName(name)) tensors.refuse(`other names than ${shown}`);
      return [name, readTensor(entry)];
    }),
  );
}

/**
 * `[layout, heads, rows, columns, scales]`, `[windows, heads]` for the heads where there are windows, and for codes `kind, bits, shift`, after them the `boundary` of twin-softmax or the levels.
 */
function readTensor(entry: JsonReader): IntegerTensor {
  const items = entry.items();
  const [layoutItem, headsItem, rowsItem, columnsItem, scalesItem] = items;
  if (!layoutItem || !headsItem || !rowsItem || !columnsItem || !scalesItem) {
    return entry.refuse('[layout, heads, rows, columns, scales, ...]');
  }
  const layout = layoutItem.word(['pixels', 'left', 'right', 'right-transposed', 'int16', 'int32']);
  const { windows, heads } = readHeads(headsItem);
  const rows = rowsItem.integer(1, LARGEST_SIZE);
  const columns = columnsItem.integer(1, LARGEST_SIZE);
  if ((windows ?? 1) * heads * rows * columns > MOST_ELEMENTS) entry.refuse(`at most ${MOST_ELEMENTS} elements`);
  const scales = scalesItem.items().map((scale) => scale.positive());
  if (scales.length !== 1 && scales.length !== heads) scalesItem.refuse(`1 or ${heads} scales, one a head`);
  const tensor = { layout, ...(windows === undefined ? {} : { windows }), heads, rows, columns, scales };
  const isCodes = layout === 'left' || layout === 'right' || layout === 'right-transposed';
  if (isCodes) return { ...tensor, codes: readCodes(entry, items.slice(5)) };
  return items.length === 5 ? tensor : entry.refuse(`5 items, because ${layout} holds no codes`);
}

/** A number of heads, or `[windows, heads]` of at least two windows. */
function readHeads(item: JsonReader): { readonly windows?: number; readonly heads: number } {
  if (!Array.isArray(item.value)) return { heads: item.integer(1, LARGEST_SIZE) };
  const [windows, heads, more] = item.items();
  if (!windows || !heads || more) return item.refuse('heads or [windows, heads]');
  return { windows: windows.integer(2, LARGEST_SIZE), heads: heads.integer(1, LARGEST_SIZE) };
}

function readCodes(entry: JsonReader, [kindItem, bitsItem, shiftItem, lastItem, more]: JsonReader[]): IntegerCodes {
  if (!kindItem || !bitsItem || !shiftItem || more)
    return entry.refuse('a kind of codes, its bits and shift after the scales');
  const kind = kindItem.word(['uniform', 'twin-softmax', 'twin-gelu', 'levels-softmax', 'levels-gelu']);
  const bits = bitsItem.integer(2, 8);
  if (kind === 'levels-softmax' || kind === 'levels-gelu') {
    const shift = shiftItem.integer(PLANE_SHIFT, PLANE_SHIFT);
    if (!lastItem) return entry.refuse(`the levels of ${kind} codes`);
    return { kind, bits, shift, levels: readLevels(lastItem, kind === 'levels-softmax' ? 'softmax' : 'gelu', bits) };
  }
  const shift = shiftItem.integer(0, kind === 'uniform' ? 0 : 15);
  if (kind !== 'twin-softmax') {
    return lastItem ? lastItem.refuse(`nothing, because ${kind} codes have no boundary`) : { kind, bits, shift };
  }
  if (!lastItem) return entry.refuse('the boundary of twin-softmax codes');
  return { kind, bits, shift, boundary: lastItem.word(['nearest', 'published']) };
}

/** Ascending integers that two planes hold, at most 2^bits. */
function readLevels(item: JsonReader, operand: LevelOperand, bits: number): number[] {
  const { low, high } = LEVEL_LIMITS[operand];
  const items = item.items();
  if (items.length < 1 || items.length > 2 ** bits) item.refuse(`1..${2 ** bits} levels, not ${items.length}`);
  const levels = items.map((level) => level.integer(low, high));
  const fallen = levels.findIndex((level, i) => i > 0 && level <= (levels[i - 1] as number));
  if (fallen > 0) items[fallen]?.refuse(`an integer above ${levels[fallen - 1]}, the level before it`);
  return levels;
}

function readBiasBits(bits: JsonReader): number {
  return bits.value === 1 ? bits.refuse('0 or an integer in 2..32') : bits.integer(0, 32);
}
