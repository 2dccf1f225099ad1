import { operandCodes } from '../format/codes.ts';
import { inputsOf, outputsOf, windowsOf, type IntegerProgram, type IntegerTensor } from '../format/program.ts';
import { UnsupportedDeviceError } from '../gpu/errors.ts';
import { denseOutput, outputExtent } from '../kernels/requantizedLayout.ts';
import { runsInFloat, type FloatKind } from './context.ts';

/** Where the bytes of a tensor of all images lie. */
export interface PlannedTensor {
  readonly slab: number;
  /** A multiple of the alignment. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * The memory of one batch: every activation in one arena, at offsets that tensors of other times share. The arena is cut into
 * `SLABS` buffers because WebGPU refuses a dispatch that binds one buffer for reading and for writing, wherever the two ranges lie:
 * a tensor never lies in the slab of a tensor that its operation reads.
 */
export interface MemoryPlan {
  readonly images: number;
  /** Bytes of each slab. */
  readonly slabs: readonly number[];
  readonly tensors: ReadonlyMap<string, PlannedTensor>;
  /** Bytes of each of the two f32 temporaries of float operations; 0 without them. */
  readonly scratch: number;
}

/** Enough for operations of two activations: taken in order, the output of one has at most two slabs that it must avoid. */
export const SLABS = 3;

/** Batches up to this size go through the network at once. */
export const MOST_IMAGES = 64;

export type PlanLimits = Readonly<
  Record<'maxBufferSize' | 'maxStorageBufferBindingSize' | 'minStorageBufferOffsetAlignment', number>
>;

/** First and last operation that touches a tensor, -1 for what is there before the first. */
export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

/** Bytes of a tensor of `images` images, whole words; at least 16, so that any binding of it is large enough for its element. */
export function tensorBytes(tensor: IntegerTensor, images: number): number {
  const { layout, heads, rows, columns, codes } = tensor;
  const shape = { heads, rows, columns };
  const bytes =
    layout === 'pixels'
      ? images * rows * columns * 3
      : 4 *
        (codes ? operandCodes(codes).planes : 1) *
        outputExtent(denseOutput(layout, shape), { ...shape, images: images * windowsOf(tensor) });
  return 16 * Math.ceil(bytes / 16);
}

/** When each tensor is alive: from its writer to its last reader; the input from before all, the output until after all. */
export function lifetimes({ input, output, operations }: IntegerProgram): Map<string, Lifetime> {
  const found = new Map<string, Lifetime>([[input, { first: -1, last: -1 }]]);
  operations.forEach((operation, index) => {
    for (const name of inputsOf(operation)) {
      const life = found.get(name);
      if (!life) throw new Error(`${operation.name} reads ${name}, which nothing has written`);
      found.set(name, { ...life, last: index });
    }
    for (const name of outputsOf(operation)) found.set(name, { first: index, last: index });
  });
  const life = found.get(output);
  if (!life) throw new Error(`nothing writes the output ${output}`);
  return found.set(output, { ...life, last: operations.length });
}

/** Places every tensor of `images` images, each in the slab that grows least and there in the first gap that holds it. */
export function planMemory(
  program: IntegerProgram,
  images: number,
  alignment: number,
  float: ReadonlySet<FloatKind> = new Set(),
): MemoryPlan {
  const alive = lifetimes(program);
  const slabs = new Array<number>(SLABS).fill(0);
  const tensors = new Map<string, PlannedTensor>();
  const place = (name: string, avoided: readonly number[]) => {
    const { first, last } = alive.get(name) as Lifetime;
    const bytes = tensorBytes(program.tensors[name] as IntegerTensor, images);
    const besides = [...tensors].filter(([other]) => {
      const life = alive.get(other) as Lifetime;
      return life.first <= last && first <= life.last;
    });
    const offers = slabs.flatMap((size, slab) => {
      if (avoided.includes(slab)) return [];
      const neighbours = besides.map(([, planned]) => planned).filter((planned) => planned.slab === slab);
      const offset = firstGap(neighbours, bytes, alignment);
      return [{ slab, offset, growth: Math.max(0, offset + bytes - size) }];
    });
    const best = offers.reduce((a, b) => (b.growth < a.growth ? b : a));
    tensors.set(name, { slab: best.slab, offset: best.offset, bytes });
    slabs[best.slab] = Math.max(slabs[best.slab] as number, best.offset + bytes);
  };
  place(program.input, []);
  for (const operation of program.operations) {
    const avoided = inputsOf(operation).map((name) => (tensors.get(name) as PlannedTensor).slab);
    for (const name of outputsOf(operation)) place(name, avoided);
  }
  return { images, slabs, tensors, scratch: scratchBytes(program, images, float) };
}

/** The start of the first gap of at least `bytes` between `neighbours`, or the end of the last of them. */
function firstGap(neighbours: readonly PlannedTensor[], bytes: number, alignment: number): number {
  let end = 0;
  for (const { offset, bytes: taken } of [...neighbours].sort((a, b) => a.offset - b.offset)) {
    if (offset - end >= bytes) break;
    end = Math.max(end, alignment * Math.ceil((offset + taken) / alignment));
  }
  return end;
}

/** An f32 element for each that the largest operation among `float` reads. */
function scratchBytes(program: IntegerProgram, images: number, float: ReadonlySet<FloatKind>): number {
  const sizes = program.operations.map((operation) => {
    if (operation.kind === 'product' || !runsInFloat(operation, float, program.tensors)) return 0;
    const tensor = program.tensors[operation.input] as IntegerTensor;
    return 4 * images * windowsOf(tensor) * tensor.heads * tensor.rows * tensor.columns;
  });
  return 16 * Math.ceil(Math.max(0, ...sizes) / 16);
}

/** Storage alignment of offsets in the arena. */
export function planAlignment({ minStorageBufferOffsetAlignment }: PlanLimits): number {
  return Math.max(256, minStorageBufferOffsetAlignment);
}

/**
 * The largest batch, at most `most`, whose tensors and slabs a device with `limits` can bind.
 *
 * @throws RangeError when `most` is no positive integer
 * @throws UnsupportedDeviceError when one image does not fit, naming the limit and the number
 */
export function largestBatch(
  program: IntegerProgram,
  limits: PlanLimits,
  most: number = MOST_IMAGES,
  float: ReadonlySet<FloatKind> = new Set(),
): number {
  if (!Number.isInteger(most) || most < 1) throw new RangeError(`a batch has at least one image, got ${most}`);
  let images = Math.min(most, MOST_IMAGES);
  while (images > 1 && excess(program, images, limits, float)) images--;
  const problem = excess(program, images, limits, float);
  if (problem) throw new UnsupportedDeviceError(`this device cannot run the model: one image needs ${problem}`);
  return images;
}

/** What of a batch passes the limits, in words. */
function excess(
  program: IntegerProgram,
  images: number,
  limits: PlanLimits,
  float: ReadonlySet<FloatKind>,
): string | undefined {
  const { slabs, tensors, scratch } = planMemory(program, images, planAlignment(limits), float);
  const bindings: [string, number][] = [...tensors].map(([name, { bytes }]) => [`tensor ${name}`, bytes]);
  bindings.push(['a float temporary', scratch]);
  const tooLarge = (found: readonly [string, number][], limit: 'maxStorageBufferBindingSize' | 'maxBufferSize') => {
    const worst = found.reduce((a, b) => (b[1] > a[1] ? b : a));
    if (worst[1] <= limits[limit]) return undefined;
    return `${worst[1]} bytes for ${worst[0]}, its ${limit} is ${limits[limit]}`;
  };
  return (
    tooLarge(bindings, 'maxStorageBufferBindingSize') ??
    tooLarge([...bindings, ...slabs.map((bytes): [string, number] => ['activations', bytes])], 'maxBufferSize')
  );
}
