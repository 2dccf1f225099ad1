import { describe, expect, test } from 'vitest';
import type { IntegerModel, NormParameters } from '../../src/format/model.ts';
import type {
  GeluOperation,
  IntegerCodes,
  IntegerTensor,
  LayerNormOperation,
  SoftmaxOperation,
} from '../../src/format/program.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { submit } from '../../src/gpu/kernel.ts';
import type { BufferScope } from '../../src/gpu/buffers.ts';
import type { FloatKind, StepContext } from '../../src/infer/context.ts';
import { layerNormParameters } from '../../src/infer/layerNormParameters.ts';
import { planMemory, tensorBytes } from '../../src/infer/plan.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import { createSession } from '../../src/infer/session.ts';
import { prepareStep } from '../../src/infer/steps.ts';
import { layerNormConstants } from '../../src/kernels/layerNormConstants.ts';
import { plainVariant } from '../../src/kernels/matmulVariant.ts';
import { codeByte, decodeCode, unpackRowMajor } from '../../src/reference/codes.ts';
import { unpackInt16 } from '../../src/reference/fixedPoint.ts';
import { erfReference } from '../../src/reference/geluF32.ts';
import { readBytes } from '../../src/gpu/readback.ts';
import { random } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';
import { tinyIntegerModel, type TinyIntegerModelOptions } from '../support/tinyIntegerModel.ts';

const shared = useGpu();

const IMAGES = 3;
/** Where the exact value lies closer than this to the border of two codes, in steps, f32 may take either. */
const TIE = 2e-3;

/** Real values `[images][heads][rows][columns]` of the words of a tensor. */
function realValues(words: Uint32Array, tensor: IntegerTensor): Float64Array {
  const { layout, heads, rows, columns, scales } = tensor;
  const all = IMAGES * heads * rows;
  const integers =
    layout === 'int32'
      ? new Int32Array(words.buffer, 0, all * columns)
      : layout === 'int16'
        ? unpackInt16(words, all, columns)
        : unpackRowMajor(words, all, columns);
  return Float64Array.from(integers, (value, i) => {
    const head = Math.floor(i / (rows * columns)) % heads;
    return value * (scales[scales.length === 1 ? 0 : head] as number);
  });
}

/** Words of a tensor of all images: random integers; accumulators of a size that spreads the softmax. */
function randomWords(tensor: IntegerTensor, next: () => number): Uint32Array {
  const words = new Uint32Array(tensorBytes(tensor, IMAGES) / 4);
  if (tensor.layout !== 'int32') return words.map(() => Math.floor(next() * 2 ** 32));
  const most = 8 / (tensor.scales[0] as number);
  return words.map(() => Math.floor((2 * next() - 1) * most));
}

/** Every word that an operation of `model`, in float, writes on the device for `words` of its input. */
async function runFloat(
  model: IntegerModel,
  operation: SoftmaxOperation | GeluOperation | LayerNormOperation,
  words: Uint32Array,
): Promise<Uint32Array> {
  const scope = shared.pool.scope();
  try {
    const tensorOf = (tensor: string) => model.program.tensors[tensor] as IntegerTensor;
    const bytes = tensorBytes(tensorOf(operation.output), IMAGES);
    const output = scope.upload(new Uint32Array(bytes / 4 + 8).fill(0xa5c3f019), 'output');
    const input = scope.upload(words, 'input');
    const context = contextOf(model, scope, { [operation.input]: input, [operation.output]: output });
    submit(shared.device, await prepareStep(context, operation, new Set([operation.kind])));
    const read = new Uint32Array(await readBytes(shared.device, output, bytes + 32));
    const used = read.length - 8;
    expect([...read.subarray(used)]).toEqual(new Array(8).fill(0xa5c3f019));
    return read.slice(0, used);
  } finally {
    scope.release();
  }
}

function contextOf(model: IntegerModel, scope: BufferScope, activations: Record<string, GPUBuffer>): StepContext {
  const kinds = new Set<FloatKind>(['softmax', 'gelu', 'layerNorm']);
  const { scratch } = planMemory(model.program, IMAGES, 256, kinds);
  const scratches = { a: scope.acquire(scratch, 'a'), b: scope.acquire(scratch, 'b') };
  const parameters = new Map<string, GPUBuffer>();
  return {
    device: shared.device,
    images: IMAGES,
    model,
    tensor: (name) => model.program.tensors[name] as IntegerTensor,
    activation: (name) => activations[name] as GPUBuffer,
    parameter(key, make) {
      const found = parameters.get(key);
      if (found) return found;
      if (!make) throw new Error(`a float step asks for ${key} of the integer one`);
      const made = scope.upload(make(), key);
      parameters.set(key, made);
      return made;
    },
    scratch(slot, bytes) {
      expect(bytes).toBeLessThanOrEqual(scratch);
      return scratches[slot];
    },
    largestSum: () => 0,
    tiles: { variantFor: ({ columns }) => plainVariant(columns) },
  };
}

/** The exact value behind one code. */
interface Expected {
  /** Magnitude or signed value in steps before rounding, and what is held of it. */
  readonly steps: number;
  readonly low: number;
  readonly high: number;
  /** The code for a rounded number of steps. */
  readonly code: (rounded: number) => number;
}

/** Every code is the nearest, or next to it at a tie; returns how many took the other one. */
function compareCodes(words: Uint32Array, tensor: IntegerTensor, expected: readonly Expected[]): number {
  const rows = IMAGES * tensor.heads * tensor.rows;
  const codes = unpackRowMajor(words, rows, tensor.columns);
  expect(expected.length).toBe(codes.length);
  let ties = 0;
  expected.forEach(({ steps, low, high, code }, i) => {
    const clamped = (rounded: number) => code(Math.min(Math.max(rounded, low), high)) & 0xff;
    const got = (codes[i] as number) & 0xff;
    if (got === clamped(Math.round(steps))) return;
    const isTie = Math.abs(steps - Math.floor(steps) - 0.5) < TIE;
    const other = [Math.floor(steps), Math.ceil(steps)].map(clamped).includes(got);
    if (!isTie || !other)
      expect.fail(`element ${i}: code ${got}, but ${steps} steps, code ${clamped(Math.round(steps))}`);
    ties++;
  });
  return ties;
}

const VARIANTS: [string, Partial<TinyIntegerModelOptions>][] = [
  ['default', {}],
  ['8-bit inputs of GELU, published LayerNorm', { softmax: 'shift', gelu: 'shift', norm: 'published' }],
  ['6-bit codes, rows that fill no word', { activationBits: 6, embedDim: 36, heads: 3, hiddenDim: 41, prefixRows: 2 }],
];

describe.each(VARIANTS)('codes of a float step against doubles: %s', (_name, overrides) => {
  const model = tinyIntegerModel(21, { depth: 1, ...overrides });
  const tensorOf = (name: string) => model.program.tensors[name] as IntegerTensor;

  test('softmax', async () => {
    const operation = model.program.operations.find(({ kind }) => kind === 'softmax');
    if (operation?.kind !== 'softmax') throw new Error('no softmax');
    const input = tensorOf(operation.input);
    const output = tensorOf(operation.output);
    const words = randomWords(input, random(1));
    const logits = realValues(words, input).map((x) => x * operation.factor);
    const { bits, shift } = output.codes as { bits: number; shift: number };
    const flag = 2 ** (bits - 1);
    const expected = Array.from(logits, (x, i): Expected => {
      const row = logits.subarray(i - (i % input.columns), i - (i % input.columns) + input.columns);
      const p = 1 / row.reduce((sum, other) => sum + Math.exp(other - x), 0);
      // the closer of the two ranges
      const [fine, coarse] = [p * flag * 2 ** shift, p * flag];
      const cut = (value: number) => Math.min(Math.round(value), flag - 1);
      const [fineError, coarseError] = [Math.abs(cut(fine) / 2 ** shift - coarse), Math.abs(cut(coarse) - coarse)];
      const isFine = fine <= flag - 1 || fineError < coarseError;
      return { steps: isFine ? fine : coarse, low: 0, high: flag - 1, code: (m) => m + (isFine ? 0 : flag) };
    });
    const ties = compareCodes(await runFloat(model, operation, words), output, expected);
    expect(ties).toBeLessThanOrEqual(2);
    expect(new Set(expected.map(({ steps, code }) => code(Math.round(steps)))).size).toBeGreaterThan(20);
  });

  test('GELU', async () => {
    const operation = model.program.operations.find(({ kind }) => kind === 'gelu');
    if (operation?.kind !== 'gelu') throw new Error('no GELU');
    const input = tensorOf(operation.input);
    const output = tensorOf(operation.output);
    const words = randomWords(input, random(2));
    const { bits, shift } = output.codes as { bits: number; shift: number };
    const flag = 2 ** (bits - 1);
    const scaleR1 = output.scales[0] as number;
    const expected = Array.from(realValues(words, input), (x): Expected => {
      const y = (x * (1 + erfReference(x * Math.SQRT1_2))) / 2;
      const steps = y < 0 ? -y / scaleR1 : y / (scaleR1 * 2 ** shift);
      return { steps, low: 0, high: flag - 1, code: (m) => (y >= 0 && m > 0 ? m + flag : m) };
    });
    const ties = compareCodes(await runFloat(model, operation, words), output, expected);
    expect(ties).toBeLessThanOrEqual(2);
    expect(expected.filter(({ steps }) => steps > 1).length).toBeGreaterThan(expected.length / 4);
  });

  test.each([
    ['blocks.0.norm1', null],
    ['norm', 0],
    ['norm', 2],
  ] as const)('LayerNorm %s of row %s', async (name, row) => {
    const found = model.program.operations.find((one) => one.name === name) as LayerNormOperation;
    const operation = { ...found, row };
    const input = tensorOf(operation.input);
    const output = tensorOf(operation.output);
    const words = randomWords(input, random(3));
    const { columns } = input;
    const yScale = output.scales[0] as number;
    const bits = output.codes?.bits as number;
    const { gamma, beta } = layerNormParameters(operation.form, model.norms.get(name) as NormParameters, yScale);
    const all = realValues(words, input);
    const x = row === null ? all : pickedRow(all, input, row);
    const expected = Array.from(x, (value, i): Expected => {
      const row = x.subarray(i - (i % columns), i - (i % columns) + columns);
      const mean = row.reduce((sum, other) => sum + other, 0) / columns;
      const variance = row.reduce((sum, other) => sum + (other - mean) ** 2, 0) / columns;
      const normalised = (value - mean) / Math.sqrt(variance + operation.floatEpsilon);
      const y = normalised * (gamma[i % columns] as number) + (beta[i % columns] as number);
      return { steps: y / yScale, low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1, code: (code) => code };
    });
    const ties = compareCodes(await runFloat(model, operation, words), output, expected);
    expect(ties).toBeLessThanOrEqual(2);
  });
});

function pickedRow(all: Float64Array, { rows, columns }: IntegerTensor, row: number): Float64Array {
  const picked = new Float64Array(IMAGES * columns);
  for (let image = 0; image < IMAGES; image++) {
    const first = (image * rows + row) * columns;
    picked.set(all.subarray(first, first + columns), image * columns);
  }
  return picked;
}

describe.each(['levels', 'uniform'] as const)('%s of a float step are the nearest to doubles', (after) => {
  const model = tinyIntegerModel(21, { depth: 1, after, activationBits: 6, embedDim: 36, heads: 3, hiddenDim: 41 });

  test.each(['softmax', 'gelu'] as const)('%s', async (kind) => {
    const operation = model.program.operations.find((one) => one.kind === kind) as SoftmaxOperation | GeluOperation;
    const [input, output] = [operation.input, operation.output].map((name) => model.program.tensors[name]) as [
      IntegerTensor,
      IntegerTensor,
    ];
    const { heads, rows, columns, scales } = output;
    const words = randomWords(input, random(4));
    const x = realValues(words, input);
    const integers = (output.codes as IntegerCodes).levels ?? Array.from({ length: 64 }, (_, i) => i - 32);
    const found = integersOf(await runFloat(model, operation, words), output);
    expect(found.length).toBe(x.length);
    const seen = new Set<number>();
    found.forEach((integer, i) => {
      const step = scales[scales.length === 1 ? 0 : Math.floor(i / (rows * columns)) % heads] as number;
      let y = ((x[i] as number) * (1 + erfReference((x[i] as number) * Math.SQRT1_2))) / 2;
      if (operation.kind === 'softmax') {
        const row = x.subarray(i - (i % columns), i - (i % columns) + columns);
        y = 1 / row.reduce((sum, other) => sum + Math.exp(operation.factor * (other - (x[i] as number))), 0);
      }
      const nearest = Math.min(...integers.map((other) => Math.abs(other * step - y)));
      expect(Math.abs(integer * step - y), `element ${i}`).toBeLessThan(nearest + step * TIE);
      seen.add(integer);
    });
    expect(seen.size).toBeGreaterThan(5);
  });
});

/** The integers of codes after softmax or GELU, `[images][heads][rows][columns]`. */
function integersOf(words: Uint32Array, { codes, heads, rows, columns }: IntegerTensor): number[] {
  const all = IMAGES * heads * rows;
  if (!codes?.levels) return [...unpackRowMajor(words, all, columns)];
  const size = Math.ceil(columns / 4);
  const kind = codes.kind === 'levels-softmax' ? 'twin-softmax' : 'twin-gelu';
  return Array.from({ length: all * columns }, (_, i) => {
    const [row, d] = [Math.floor(i / columns), i % columns];
    const [high, low] = [2 * row, 2 * row + 1].map((plane) =>
      decodeCode(codeByte(words, plane * size, 1, d), { kind, bits: 8, shift: 7 }),
    );
    return (high as number) + (low as number);
  });
}

describe('gamma and beta from the integers of a LayerNorm', () => {
  const features = 192;
  const next = random(5);
  const gamma = Array.from({ length: features }, (_, i) => (i === 7 ? 0 : i === 8 ? -3e-5 : 4 * next() - 1));
  const beta = Array.from({ length: features }, () => 3 * next() - 1.5);
  const yScale = 0.031;

  test.each(['fixed', 'published'] as const)('%s', (form) => {
    const constants = layerNormConstants(form, { gamma, beta, epsilon: 1e-6, xScale: 0.001, yScale });
    const real = layerNormParameters(
      form,
      {
        multipliers: constants.gain.filter((_, i) => i % 2 === 0),
        shifts: Uint8Array.from(constants.gain.filter((_, i) => i % 2 === 1)),
        bias: constants.bias,
      },
      yScale,
    );
    gamma.forEach((g, i) => {
      const b = beta[i] as number;
      // in code steps: what a normalised value of 1 is off by, and what is added
      expect(Math.abs((real.gamma[i] as number) - g) / yScale).toBeLessThan(1e-6);
      const unit = Math.sqrt(features) / 2 ** 30;
      const most = form === 'fixed' ? 2 ** -13 : Math.abs((g / yScale) * unit) + 1e-6;
      const cut = form === 'published' && Math.abs(b) > Math.abs(g) * Math.sqrt(features);
      const left = cut ? Math.sign(b) * Math.abs(g) * Math.sqrt(features) : b;
      expect(Math.abs((real.beta[i] as number) - left) / yScale, `beta ${i}`).toBeLessThan(1.001 * most);
    });
  });
});

describe('a session with float operations', () => {
  const model = tinyIntegerModel(22, { norm: 'published' });
  const { width, height } = model.preprocessing;
  const next = random(6);
  const pixels = Uint8Array.from({ length: IMAGES * width * height * 3 }, () => Math.floor(next() * 256));
  const run = async (float?: readonly FloatKind[]) => {
    const options = { runtime: 'mixed', tiles: 'plain', ...(float && { float }) } as const;
    const session = await createSession(shared.device, writeModelFile(model), options);
    const logits = await session.run(pixels, IMAGES);
    session.destroy();
    return logits;
  };

  test.each<[string, readonly FloatKind[] | undefined]>([
    ['all', undefined],
    ['softmax', ['softmax']],
    ['GELU', ['gelu']],
    ['LayerNorm', ['layerNorm']],
  ])('%s gives logits close to those of the integers, and not the same', async (_name, float) => {
    const [mixed, integer] = [await run(float), await referenceEngine(model).run(pixels, IMAGES)];
    const power = integer.reduce((sum, value) => sum + value ** 2, 0);
    const error = integer.reduce((sum, value, i) => sum + (value - (mixed[i] as number)) ** 2, 0);
    expect(10 * Math.log10(power / error)).toBeGreaterThan(25);
    expect(error).toBeGreaterThan(0);
  });

  test('none is the integers', async () => {
    expect(await run([])).toEqual(await referenceEngine(model).run(pixels, IMAGES));
  });
});
