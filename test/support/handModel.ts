import type {
  BiasParameters,
  IntegerModel,
  LinearParameters,
  NormParameters,
  TokensParameters,
} from '../../src/format/model.ts';
import type { IntegerCodes, IntegerProgram, IntegerTensor } from '../../src/format/program.ts';

/** A model written out by hand: its program and the parameters of its operations, by name. */
export function handModel(
  program: IntegerProgram,
  parameters: {
    readonly linear?: Readonly<Record<string, LinearParameters>>;
    readonly norms?: Readonly<Record<string, NormParameters>>;
    readonly tokens?: Readonly<Record<string, TokensParameters>>;
    readonly biases?: Readonly<Record<string, BiasParameters>>;
  },
): IntegerModel {
  const { rows: height, columns: width } = program.tensors[program.input] as IntegerTensor;
  const numClasses = (program.tensors[program.output] as IntegerTensor).columns;
  return {
    architecture: {
      ...{ name: 'by-hand', imageSize: width, patchSize: width, embedDim: 1, depth: 1, heads: 1, hiddenDim: 1 },
      numClasses,
    },
    preprocessing: {
      width,
      height,
      resizeShortestEdge: { width, height },
      interpolation: 'bicubic',
      cropRounding: 'half-even',
      rescale: 1 / 255,
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    },
    labels: null,
    provenance: {
      weightsSha256: '0'.repeat(64),
      recipeSha256: '0'.repeat(64),
      options: {},
      calibrationImages: 1,
      writtenBy: 'test',
    },
    program,
    linear: new Map(Object.entries(parameters.linear ?? {})),
    norms: new Map(Object.entries(parameters.norms ?? {})),
    tokens: new Map(Object.entries(parameters.tokens ?? {})),
    biases: new Map(Object.entries(parameters.biases ?? {})),
  };
}

export const UNIFORM_8: IntegerCodes = { kind: 'uniform', bits: 8, shift: 0 };

/** A tensor of one matrix `[rows][columns]` in steps of 1. */
export function matrix(
  layout: IntegerTensor['layout'],
  rows: number,
  columns: number,
  codes?: IntegerCodes,
): IntegerTensor {
  return { layout, heads: 1, rows, columns, scales: [1], ...(codes ? { codes } : {}) };
}

/** Parameters of a linear `[outFeatures][inFeatures]`; one rescale for all features, or none for int32. */
export function linearOf(
  codes: readonly number[],
  bias: readonly number[],
  rescale: { readonly multiplier: number; readonly shift: number } | null = null,
): LinearParameters {
  return {
    codes: Int8Array.from(codes),
    scales: new Float32Array(bias.length).fill(1),
    bias: Int32Array.from(bias),
    multipliers: rescale && new Uint32Array(bias.length).fill(rescale.multiplier),
    shifts: rescale && new Uint8Array(bias.length).fill(rescale.shift),
  };
}
