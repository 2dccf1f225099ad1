import type { LayerRecipe, Recipe } from '../calibrate/recipe.ts';
import type { BiasParameters, LinearParameters, NormParameters, TokensParameters } from '../format/model.ts';
import type { IntegerCodes, IntegerOperation, IntegerProgram, IntegerTensor } from '../format/program.ts';
import type { Network, Unit } from '../model/graph.ts';
import type { IntegerOperands } from '../quantize/floatQuantizer.ts';
import { RANGE_MARGIN, stepFor } from '../quantize/nonlinear.ts';
import { steps, twinShift, type ActivationQuantizer } from '../quantize/quantizer.ts';
import { Dataflow, type Step } from './dataflow.ts';
import { ExportError } from './errors.ts';
import { integerLayer } from './integerLayer.ts';
import type { NonlinearChoice } from './nonlinear.ts';

export interface ProgramParts {
  readonly program: IntegerProgram;
  readonly linear: ReadonlyMap<string, LinearParameters>;
  readonly norms: ReadonlyMap<string, NormParameters>;
  readonly tokens: ReadonlyMap<string, TokensParameters>;
  readonly biases: ReadonlyMap<string, BiasParameters>;
}

/** A program that grows operation by operation, and what its operations look up: quantizers, ranges, readers, tensors. */
export class ProgramDraft {
  readonly recipe: Recipe;
  readonly nonlinear: NonlinearChoice;
  readonly flow: Dataflow;
  readonly operations: IntegerOperation[] = [];
  readonly linear = new Map<string, LinearParameters>();
  readonly norms = new Map<string, NormParameters>();
  readonly tokens = new Map<string, TokensParameters>();
  readonly biases = new Map<string, BiasParameters>();
  /** Rows that were picked out of a tensor: nothing is copied, the reader takes the row. */
  readonly selected = new Map<string, { readonly tensor: string; readonly row: number }>();
  /** Code of the value 0 of tensors of uniform codes, where it is another than 0. */
  readonly zeroPoints = new Map<string, number>();
  /** Outputs of additions that the linear layer before them writes itself. */
  readonly fused = new Set<string>();
  /** By the output of a gather of rows: the addition's output that it is, because the rows were added before they were gathered. */
  readonly sums = new Map<string, string>();
  /** By name of a linear layer: its input, where layers that read one tensor have scales of their own for it. */
  readonly inputs = new Map<string, string>();
  /** Real value of a unit of scores over its scale, where it is not 1. */
  readonly factors = new Map<string, number>();
  readonly #units: readonly Unit[];
  readonly #layers: ReadonlyMap<string, LayerRecipe>;
  readonly #tensors = new Map<string, IntegerTensor>();

  constructor(network: Network, recipe: Recipe, nonlinear: NonlinearChoice) {
    this.recipe = recipe;
    this.nonlinear = nonlinear;
    this.flow = new Dataflow(network);
    this.#units = network.units;
    this.#layers = new Map(recipe.layers.map((layer) => [layer.name, layer]));
  }

  parts(input: string, output: string): ProgramParts {
    const { operations, linear, norms, tokens, biases } = this;
    return {
      program: { input, output, tensors: Object.fromEntries(this.#tensors), operations },
      linear,
      norms,
      tokens,
      biases,
    };
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  tensor(name: string): IntegerTensor {
    const found = this.#tensors.get(name);
    if (!found) throw new ExportError(`${name}: read before anything in integers writes it`);
    return found;
  }

  add(name: string, tensor: IntegerTensor): void {
    this.#tensors.set(name, tensor);
  }

  /** 16-bit integers; by default with room for twice the largest value of the calibration images. */
  addInt16(name: string, rows: number, columns: number, step = stepFor(RANGE_MARGIN * this.range(name), 16)): void {
    this.add(name, { layout: 'int16', heads: 1, rows, columns, scales: [step] });
  }

  /** The left operand of a linear layer. */
  addCodes(name: string, rows: number, columns: number, quantizer: ActivationQuantizer, windows = 1): void {
    const [step, ...others] = steps(quantizer);
    if (step === undefined || others.length > 0) {
      throw new ExportError(
        `${name}: the input of a linear layer has one scale, the recipe gives it ${others.length + 1}`,
      );
    }
    if (quantizer.type === 'uniform' && quantizer.zeroPoint) this.zeroPoints.set(name, quantizer.zeroPoint);
    const shape = { layout: 'left', ...windowed(windows), heads: 1, rows, columns } as const;
    this.add(name, { ...shape, scales: [step], codes: codesOf(quantizer) });
  }

  /** Real value of the zero point of a tensor: what its codes stand for is off by it. */
  offset(name: string): number {
    return (this.zeroPoints.get(name) ?? 0) * (this.tensor(name).scales[0] as number);
  }

  /** @throws ExportError naming the layer when it is missing, or its codes have no product of integers */
  layer(name: string): LayerRecipe & IntegerOperands {
    const found = this.#layers.get(name);
    if (!found) throw new ExportError(`the recipe has no layer ${name}; quantize this model again`);
    return integerLayer(found);
  }

  /** The only operation that reads `name`. */
  reader(name: string): Step {
    const readers = this.flow.readers(name);
    if (readers.length !== 1) {
      throw new ExportError(`${name}: ${readers.length} operations read it, its integers need exactly one`);
    }
    return readers[0] as Step;
  }

  /** Largest magnitude of a tensor on the calibration images, under any of its names. */
  range(name: string): number {
    const { ranges } = this.recipe.integer;
    const seen = this.#units.flatMap((unit) =>
      Object.keys(unit.elements).flatMap((tensor) => {
        const value = ranges[`${unit.name}.${tensor}`];
        return value !== undefined && this.flow.name(unit, tensor) === name ? [value] : [];
      }),
    );
    if (seen.length === 0) throw new ExportError(`the recipe has no range of ${name}; quantize this model again`);
    return Math.max(...seen);
  }
}

/** The windows of a tensor, where there are several. */
export function windowed(windows: number): { readonly windows?: number } {
  return windows === 1 ? {} : { windows };
}

export function codesOf(quantizer: ActivationQuantizer): IntegerCodes {
  const codes = { bits: quantizer.bits, shift: twinShift(quantizer) };
  switch (quantizer.type) {
    case 'uniform':
    case 'pixels':
      return { ...codes, kind: 'uniform' };
    case 'twin-softmax':
      return { ...codes, kind: quantizer.type, boundary: quantizer.boundary };
    case 'twin-gelu':
      return { ...codes, kind: quantizer.type };
    case 'levels':
      return { ...codes, kind: `levels-${quantizer.operand}`, levels: quantizer.levels };
  }
}

/** The value of element i when `count` elements fall into equal runs, one a value. */
export function groupValue(values: readonly number[], i: number, count: number): number {
  return values[Math.floor((i * values.length) / count)] as number;
}
