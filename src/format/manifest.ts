import type { Dyadic } from '../kernels/dyadic.ts';
import type { IntegerModel } from './model.ts';
import type { IntegerOperation, IntegerTensor } from './program.ts';

/** The manifest of a model file: all of a model but its parameters, as JSON. docs/format.md says what each member means. */

export const MODEL_FORMAT = 'twinshift-model';
/** Versions that a reader knows; a writer takes the lowest that holds a program. */
export const MODEL_VERSIONS = ['2', '3'] as const;

/** What `manifestText` needs of the parameters: the tensors that they are stored in stay out of the JSON. */
export interface ManifestReferences {
  /** Bits of each bias of a linear operation; 0 for none. */
  readonly biasBits: (name: string) => number;
  /** Number of a table among the distinct ones of the model. */
  readonly tableNumber: (table: Uint32Array) => number;
}

/** The manifest as compact JSON; the same text for the same model. */
export function manifestText(model: IntegerModel, references: ManifestReferences): string {
  const { architecture: a, preprocessing: p, labels, provenance, program } = model;
  const edge = p.resizeShortestEdge;
  return JSON.stringify({
    architecture: {
      name: a.name,
      imageSize: a.imageSize,
      patchSize: a.patchSize,
      embedDim: a.embedDim,
      depth: a.depth,
      heads: a.heads,
      hiddenDim: a.hiddenDim,
      numClasses: a.numClasses,
    },
    preprocessing: {
      width: p.width,
      height: p.height,
      resizeShortestEdge: typeof edge === 'number' ? edge : { width: edge.width, height: edge.height },
      interpolation: p.interpolation,
      cropRounding: p.cropRounding,
      rescale: p.rescale,
      mean: p.mean,
      std: p.std,
    },
    labels,
    provenance: {
      weightsSha256: provenance.weightsSha256,
      recipeSha256: provenance.recipeSha256,
      options: provenance.options ?? null,
      calibrationImages: provenance.calibrationImages,
      writtenBy: provenance.writtenBy,
    },
    input: program.input,
    output: program.output,
    tensors: Object.fromEntries(Object.entries(program.tensors).map(([name, tensor]) => [name, tensorEntry(tensor)])),
    operations: program.operations.map((operation) => operationEntry(operation, references)),
  });
}

function tensorEntry({ layout, windows, heads, rows, columns, scales, codes }: IntegerTensor): unknown[] {
  const entry: unknown[] = [layout, windows === undefined ? heads : [windows, heads], rows, columns, scales];
  if (codes) entry.push(codes.kind, codes.bits, codes.shift);
  if (codes?.boundary !== undefined) entry.push(codes.boundary);
  if (codes?.levels) entry.push(codes.levels);
  return entry;
}

const pair = ({ multiplier, shift }: Dyadic) => [multiplier, shift];

/** Members that are undefined are left out of the JSON. */
function operationEntry(operation: IntegerOperation, { biasBits, tableNumber }: ManifestReferences): unknown {
  const { kind, name } = operation;
  switch (kind) {
    case 'patches':
      return { kind, name, input: operation.input, output: operation.output, patchSize: operation.patchSize };
    case 'linear': {
      const { input, inFeatures, outFeatures, weightBits, outputs, residual } = operation;
      return {
        kind,
        name,
        input,
        inFeatures,
        outFeatures,
        weightBits,
        biasBits: biasBits(name),
        outputs: outputs.map(({ tensor, first }) => [tensor, first]),
        residual: residual ? [residual.tensor, ...pair(residual)] : undefined,
      };
    }
    case 'product': {
      const { a, b, output, bias, rescales } = operation;
      return { kind, name, a, b, output, bias: bias ?? undefined, rescales: rescales?.map(pair) };
    }
    case 'tokens':
      return { kind, name, input: operation.input, output: operation.output, prefixRows: operation.prefixRows };
    case 'layerNorm': {
      const { input, output, row, form, epsilon, floatEpsilon } = operation;
      return { kind, name, input, output, row: row ?? undefined, form, epsilon, floatEpsilon };
    }
    case 'softmax': {
      const { input, output, factor, logitBits, rescales, codeRescales, constants } = operation;
      return {
        kind,
        name,
        input,
        output,
        factor,
        logitBits,
        rescales: rescales.map(pair),
        codeRescales: codeRescales?.map(pair),
        ...constantsEntry(constants, tableNumber),
      };
    }
    case 'gelu': {
      const { input, output, constants } = operation;
      return { kind, name, input, output, ...constantsEntry(constants, tableNumber) };
    }
    case 'gatherRows': {
      const { input, output, indices, fill } = operation;
      return { kind, name, input, output, indices: tableNumber(indices), fill };
    }
    case 'attentionBias': {
      const { input, output, entries, index, regions } = operation;
      const numbers = { index: tableNumber(index), regions: regions ? tableNumber(regions) : undefined };
      return { kind, name, input, output, entries, ...numbers };
    }
    case 'meanRows': {
      const { input, output, first, bias, rescale } = operation;
      return { kind, name, input, output, first, bias, rescale: pair(rescale) };
    }
  }
}

type Constants = Extract<IntegerOperation, { readonly constants: unknown }>['constants'];

/** The integers of a method in the order of `CONSTANTS`, a table by its number. */
function constantsEntry(constants: Constants, tableNumber: (table: Uint32Array) => number) {
  const kept = CONSTANTS.filter((key) => key in constants);
  const integers = kept.map((key) => [key, (constants as unknown as Record<string, number>)[key]]);
  const table = 'table' in constants ? { table: tableNumber(constants.table) } : {};
  return { method: constants.method, ...(Object.fromEntries(integers) as Record<string, number>), ...table };
}

/** Integers that the constants of some method have. */
const CONSTANTS = [
  'unit',
  'fraction',
  'octaves',
  'bound',
  'linear',
  'constant',
  'places',
  'offset',
  'multiplier',
  'multiplierShift',
] as const;
