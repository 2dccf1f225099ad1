import type { JsonReader } from '../io/jsonReader.ts';
import type { Dyadic } from '../kernels/dyadic.ts';
import type { IntGeluConstants } from '../kernels/geluConstants.ts';
import type { IntSoftmaxConstants } from '../kernels/softmaxConstants.ts';
import { LARGEST_SIZE, readName } from './manifestFields.ts';
import type { IntegerOperation } from './program.ts';

const KINDS = [
  'patches',
  'linear',
  'product',
  'tokens',
  'layerNorm',
  'softmax',
  'gelu',
  'gatherRows',
  'attentionBias',
  'meanRows',
] as const;
const LARGEST_INTEGER = 2 ** 31 - 1;

/**
 * One of the manifest's operations, every member of the right type.
 *
 * @param tables those of the file by their numbers
 * @throws FormatError naming the file, the member and the value seen
 */
export function readOperation(entry: JsonReader, tables: readonly Uint32Array[]): IntegerOperation {
  const kind = entry.field('kind').word(KINDS);
  const name = readName(entry.field('name'));
  const tensor = (key: string) => readName(entry.field(key));
  const size = (key: string, least = 1) => entry.field(key).integer(least, LARGEST_SIZE);
  const only = (...members: string[]) => {
    entry.only(['kind', 'name', ...members]);
  };
  switch (kind) {
    case 'patches':
      only('input', 'output', 'patchSize');
      return { kind, name, input: tensor('input'), output: tensor('output'), patchSize: size('patchSize') };
    case 'linear':
      only('input', 'inFeatures', 'outFeatures', 'weightBits', 'biasBits', 'outputs', 'residual');
      return {
        kind,
        name,
        input: tensor('input'),
        inFeatures: size('inFeatures'),
        outFeatures: size('outFeatures'),
        weightBits: entry.field('weightBits').integer(2, 8),
        outputs: entry.field('outputs').items().map(readOutput),
        residual: readResidual(entry.field('residual')),
      };
    case 'product':
      only('a', 'b', 'output', 'bias', 'rescales');
      return {
        kind,
        name,
        a: tensor('a'),
        b: tensor('b'),
        output: tensor('output'),
        bias: readBias(entry.field('bias')),
        rescales: readOptionalDyadics(entry.field('rescales')),
      };
    case 'tokens':
      only('input', 'output', 'prefixRows');
      return { kind, name, input: tensor('input'), output: tensor('output'), prefixRows: size('prefixRows', 0) };
    case 'layerNorm':
      only('input', 'output', 'row', 'form', 'epsilon', 'floatEpsilon');
      return {
        kind,
        name,
        input: tensor('input'),
        output: tensor('output'),
        row: entry.field('row').value === undefined ? null : size('row', 0),
        form: entry.field('form').word(['fixed', 'published']),
        epsilon: entry.field('epsilon').integer(0, 2 ** 53 - 1),
        floatEpsilon: entry.field('floatEpsilon').number(0, 1),
      };
    case 'softmax': {
      const constants = readSoftmaxConstants(entry, tables);
      only('input', 'output', 'factor', 'logitBits', 'rescales', 'codeRescales', ...Object.keys(constants));
      return {
        kind,
        name,
        input: tensor('input'),
        output: tensor('output'),
        factor: entry.field('factor').positive(),
        logitBits: entry.field('logitBits').integer(8, 16),
        rescales: readDyadics(entry.field('rescales')),
        codeRescales: readOptionalDyadics(entry.field('codeRescales')),
        constants,
      };
    }
    case 'gelu': {
      const constants = readGeluConstants(entry, tables);
      only('input', 'output', ...Object.keys(constants));
      return { kind, name, input: tensor('input'), output: tensor('output'), constants };
    }
    case 'gatherRows': {
      only('input', 'output', 'indices', 'fill');
      const indices = readTable(entry.field('indices'), tables);
      const fill = entry.field('fill').integer(-(2 ** 15), 2 ** 15 - 1);
      return { kind, name, input: tensor('input'), output: tensor('output'), indices, fill };
    }
    case 'attentionBias': {
      only('input', 'output', 'entries', 'index', 'regions');
      const regions = entry.field('regions');
      return {
        kind,
        name,
        input: tensor('input'),
        output: tensor('output'),
        entries: size('entries'),
        index: readTable(entry.field('index'), tables),
        regions: regions.value === undefined ? null : readTable(regions, tables),
      };
    }
    case 'meanRows':
      only('input', 'output', 'first', 'bias', 'rescale');
      return {
        kind,
        name,
        input: tensor('input'),
        output: tensor('output'),
        first: size('first', 0),
        bias: entry.field('bias').integer(-LARGEST_INTEGER, LARGEST_INTEGER),
        rescale: readPair(entry.field('rescale')),
      };
  }
}

/** `[tensor, first]` */
function readOutput(entry: JsonReader): { readonly tensor: string; readonly first: number } {
  const [tensor, first, more] = entry.items();
  if (!tensor || !first || more) return entry.refuse('[tensor, first output feature]');
  return { tensor: readName(tensor), first: first.integer(0, LARGEST_SIZE) };
}

/** `[tensor, multiplier, shift]` or nothing. */
function readResidual(entry: JsonReader): ({ readonly tensor: string } & Dyadic) | null {
  if (entry.value === undefined) return null;
  const [tensor, multiplier, shift, more] = entry.items();
  if (!tensor || !multiplier || !shift || more) return entry.refuse('[tensor, multiplier, shift]');
  return { tensor: readName(tensor), ...readDyadic(multiplier, shift) };
}

function readBias(entry: JsonReader): number[] | null {
  if (entry.value === undefined) return null;
  return entry.items().map((item) => item.integer(-LARGEST_INTEGER, LARGEST_INTEGER));
}

function readOptionalDyadics(entry: JsonReader): Dyadic[] | null {
  return entry.value === undefined ? null : readDyadics(entry);
}

function readDyadics(entry: JsonReader): Dyadic[] {
  return entry.items().map(readPair);
}

function readPair(entry: JsonReader): Dyadic {
  const [multiplier, shift, more] = entry.items();
  return multiplier && shift && !more ? readDyadic(multiplier, shift) : entry.refuse('[multiplier, shift]');
}

function readDyadic(multiplier: JsonReader, shift: JsonReader): Dyadic {
  return { multiplier: multiplier.integer(1, LARGEST_INTEGER), shift: shift.integer(1, 62) };
}

function readSoftmaxConstants(entry: JsonReader, tables: readonly Uint32Array[]): IntSoftmaxConstants {
  const { integer, rescale, table } = readers(entry, tables);
  const method = entry.field('method').word(['shift', 'shift-fixed', 'poly', 'lut']);
  switch (method) {
    case 'shift':
      return { method, unit: integer('unit') };
    case 'shift-fixed':
      return { method, unit: integer('unit'), fraction: integer('fraction'), octaves: integer('octaves') };
    case 'poly':
      return {
        method,
        unit: integer('unit'),
        fraction: integer('fraction'),
        linear: integer('linear'),
        constant: integer('constant'),
        ...rescale(),
      };
    case 'lut':
      return { method, ...rescale(), table: table() };
  }
}

function readGeluConstants(entry: JsonReader, tables: readonly Uint32Array[]): IntGeluConstants {
  const { integer, rescale, table } = readers(entry, tables);
  const method = entry.field('method').word(['shift', 'shift-fixed', 'poly', 'lut', 'lut-codes']);
  switch (method) {
    case 'shift':
      return { method, unit: integer('unit'), ...rescale() };
    case 'shift-fixed':
      return {
        method,
        unit: integer('unit'),
        fraction: integer('fraction'),
        octaves: integer('octaves'),
        ...rescale(),
      };
    case 'poly':
      return {
        method,
        fraction: integer('fraction'),
        bound: integer('bound'),
        constant: integer('constant'),
        places: integer('places'),
        offset: integer('offset'),
        ...rescale(),
      };
    case 'lut':
      return { method, places: integer('places'), table: table(), ...rescale() };
    case 'lut-codes':
      return { method, table: table() };
  }
}

/** Readers of the constants of `entry`; their ranges are those of the kernels and checked with these. */
function readers(entry: JsonReader, tables: readonly Uint32Array[]) {
  const integer = (key: string) => entry.field(key).integer(0, LARGEST_INTEGER);
  return {
    integer,
    rescale: () => ({ multiplier: integer('multiplier'), multiplierShift: integer('multiplierShift') }),
    table: () => readTable(entry.field('table'), tables),
  };
}

function readTable(number: JsonReader, tables: readonly Uint32Array[]): Uint32Array {
  return tables[number.integer(0, LARGEST_INTEGER)] ?? number.refuse(`a number of one of the ${tables.length} tables`);
}
