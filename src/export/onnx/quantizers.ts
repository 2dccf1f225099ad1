import { planeCodes, PLANE_SHIFT } from '../../kernels/quantizeLevels.ts';
import { twinSoftmaxTable } from '../../kernels/quantizeTwinSoftmax.ts';
import type { Preprocessing } from '../../io/preprocess.ts';
import { codeRange } from '../../quantize/codeRange.ts';
import type { LeftQuantizer } from '../../quantize/floatQuantizer.ts';
import { steps, type LevelsQuantizer, type UniformQuantizer } from '../../quantize/quantizer.ts';
import type { OnnxGraph, Tensor } from './graph.ts';
import { FLOAT, INT32 } from './schema.ts';

/** Activations through the codes of their quantizers, by standard operators (docs/onnx.md). */

/** Codes of int8 that a pair of QuantizeLinear and DequantizeLinear may use. */
interface Codes {
  /** One, or one for each entry of `axis`, counted without the open dimension. */
  readonly scales: readonly number[];
  readonly axis?: number;
  readonly low: number;
  readonly high: number;
  readonly zero?: number;
}

/**
 * An operand as a sum of tensors that DequantizeLinear makes with one scale, so that a product with each of them can run in integers,
 * and what the product is then multiplied with.
 */
export interface QuantizedOperand {
  readonly terms: readonly Tensor[];
  /** f32 `[..., rows, 1]`. */
  readonly rowScales?: string;
  /** One for each head. */
  readonly headScales?: readonly number[];
}

/**
 * The values of the codes of `x`, which is the left operand `[rows, depth]`, `[heads, rows, depth]` or `[depth]`. Rounding is half
 * to even, as ours; a quotient in place of a product with the reciprocal may differ in ties.
 */
export function quantizeLeft(
  graph: OnnxGraph,
  x: Tensor,
  quantizer: LeftQuantizer,
  pixels: Preprocessing,
): QuantizedOperand {
  const { bits } = quantizer;
  const { low, high } = codeRange(bits, 'restricted' in quantizer ? quantizer.restricted : undefined);
  const last = x.dims.length - 1;
  const spread = (scales: readonly number[]) => alongRow(scales, x.dims[last] as number);
  switch (quantizer.type) {
    case 'pixels':
      return { terms: [through(graph, pixelCodes(graph, x, pixels), { scales: [1], low, high })] };
    case 'uniform':
      return quantizeUniform(graph, x, quantizer);
    case 'block':
      return { terms: [through(graph, x, { scales: spread(quantizer.scales), axis: last, low, high })] };
    case 'per-token':
      return perToken(graph, x, low, high);
    case 'twin-softmax': {
      const [threshold, inverseR1, inverseR2] = twinSoftmaxTable(quantizer.shift, bits, quantizer.boundary);
      const isCoarse = graph.node('GreaterOrEqual', [x.value, graph.float(threshold)]);
      const fine = { ...x, value: graph.node('Where', [isCoarse, graph.float(0), x.value]) };
      const coarse = { ...x, value: graph.node('Where', [isCoarse, x.value, graph.float(0)]) };
      const ranges = [through(graph, coarse, { scales: [1 / inverseR2], low: 0, high })];
      return { terms: [...ranges, through(graph, fine, { scales: [1 / inverseR1], low: 0, high })] };
    }
    case 'twin-gelu': {
      const coarse = through(graph, x, { scales: [quantizer.scaleR2], low: 0, high });
      return { terms: [coarse, through(graph, x, { scales: steps(quantizer), low: -high, high: 0 })] };
    }
    case 'published-gelu': {
      const positive = through(graph, x, { scales: spread(quantizer.scales), axis: last, low: 0, high });
      return { terms: [positive, through(graph, x, { scales: [quantizer.negativeScale], low, high: 0 })] };
    }
    case 'published-softmax': {
      const { split } = quantizer;
      const above = graph.node('Clip', [x.value, graph.float(split), graph.float(1)]);
      const below = graph.node('Clip', [x.value, graph.float(0), graph.float(split)]);
      const coarse = through(graph, { ...x, value: above }, { scales: [1 / high], low: 0, high });
      return { terms: [coarse, through(graph, { ...x, value: below }, { scales: [split / high], low: 0, high })] };
    }
    case 'levels':
      return nearestLevels(graph, x, quantizer);
  }
}

/** Uniform codes of an activation; heads are the first of `dims`. Runtimes multiply integers only where an operand has one scale. */
export function quantizeUniform(graph: OnnxGraph, x: Tensor, quantizer: UniformQuantizer): QuantizedOperand {
  const { bits, scales, restricted, zeroPoint = 0 } = quantizer;
  const range = { zero: zeroPoint, ...codeRange(bits, restricted) };
  if (scales.length === 1) return { terms: [through(graph, x, { scales, ...range })] };
  const inverses = graph.floats(
    scales.map((scale) => 1 / scale),
    [scales.length, 1, 1],
  );
  const units = { ...x, value: graph.node('Mul', [x.value, inverses]) };
  return { terms: [through(graph, units, { scales: [1], ...range })], headScales: scales };
}

/** Clips to the values of the codes where int8 has more of them, quantizes, dequantizes. */
function through(graph: OnnxGraph, x: Tensor, { scales, axis = 0, low, high, zero = 0 }: Codes): Tensor {
  const one = scales.length === 1;
  const limits = (code: number) => scales.map((scale) => (code - zero) * scale);
  let { value } = x;
  if (low > -128 || high < 127) {
    const along = [scales.length, ...x.dims.slice(axis + 1).map(() => 1)];
    const ends = [limits(low), limits(high)].map((values) => graph.floats(values, one ? [] : along));
    const [lowest, highest] = ends as [string, string];
    value = one
      ? graph.node('Clip', [value, lowest, highest])
      : graph.node('Min', [graph.node('Max', [value, lowest]), highest]);
  }
  const scale = graph.floats(scales, one ? [] : [scales.length]);
  const zeros = Int8Array.from(scales, () => zero);
  const zeroPoint = graph.constant({ type: 'int8', values: zeros }, one ? [] : [scales.length]);
  const attributes = one ? {} : { axis: axis + 1 };
  const codes = graph.node('QuantizeLinear', [value, scale, zeroPoint], attributes);
  return { ...x, value: graph.node('DequantizeLinear', [codes, scale, zeroPoint], attributes) };
}

/** Scales of equal runs of a row of `count` entries, one for each entry. */
function alongRow(scales: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, i) => scales[Math.floor((i * scales.length) / count)] as number);
}

/** `value - 128` of the pixel that each entry of a row of patches was normalised from; rounding makes it exact. */
function pixelCodes(graph: OnnxGraph, x: Tensor, { rescale, mean, std }: Preprocessing): Tensor {
  const ofChannel = (values: readonly number[]) => graph.floats(alongRow(values, x.dims.at(-1) as number));
  const scaled = graph.node('Mul', [x.value, ofChannel(std.map((s) => s / rescale))]);
  return { ...x, value: graph.node('Add', [scaled, ofChannel(mean.map((m) => m / rescale - 128))]) };
}

/** Uniform codes whose last one is the largest magnitude of the row; a row of zeros stays one. */
function perToken(graph: OnnxGraph, x: Tensor, low: number, high: number): QuantizedOperand {
  const magnitudes = graph.node('Abs', [x.value]);
  const largest = graph.node('ReduceMax', [magnitudes], { axes: [-1], keepdims: 1 });
  const divisor = graph.node('Max', [largest, graph.float(2 ** -119)]);
  const inverse = graph.node('Div', [graph.float(high + 0.5), divisor]);
  const scaled = { ...x, value: graph.node('Mul', [x.value, inverse]) };
  const rowScales = graph.node('Mul', [largest, graph.float(1 / (high + 0.5))]);
  return { terms: [through(graph, scaled, { scales: [1], low, high })], rowScales };
}

/**
 * The nearest level, the upper one at a midpoint, as the two planes of `planeCodes`. Midpoints are multiples of half a step: the
 * multiple that is nearest to x is found by rounding and compared with x itself, as f32; what lies between it and the next is one entry
 * of a table.
 */
function nearestLevels(graph: OnnxGraph, x: Tensor, { operand, levels, step }: LevelsQuantizer): QuantizedOperand {
  const [first, last] = [2 * (levels[0] as number), 2 * (levels.at(-1) as number)];
  const count = last - first + 1;
  const [upper, lower] = [new Int8Array(count), new Int8Array(count)];
  let level = 0;
  for (let half = first; half <= last; half++) {
    while (level + 1 < levels.length && (levels[level] as number) + (levels[level + 1] as number) <= half) level++;
    const codes = planeCodes(levels[level] as number, operand);
    upper[half - first] = codes.upper & 127;
    lower[half - first] = operand === 'softmax' ? codes.lower : -codes.lower;
  }
  const scaled = graph.node('Mul', [x.value, graph.float(2 / step)]);
  const inside = graph.node('Clip', [scaled, graph.float(first - 1), graph.float(last + 1)]);
  const edge = graph.node('Round', [inside]);
  const isBelow = graph.node('Less', [x.value, graph.node('Mul', [edge, graph.float(step / 2)])]);
  const half = graph.node('Sub', [edge, graph.node('Cast', [isBelow], { to: FLOAT })]);
  const entry = graph.node('Clip', [
    graph.node('Sub', [half, graph.float(first)]),
    graph.float(0),
    graph.float(count - 1),
  ]);
  const index = graph.node('Cast', [entry], { to: INT32 });
  const plane = (table: Int8Array, scale: number): Tensor[] => {
    if (table.every((code) => code === 0)) return [];
    const found = graph.node('Gather', [graph.constant({ type: 'int8', values: table }, [count]), index]);
    return [{ ...x, value: graph.node('DequantizeLinear', [found, graph.float(scale)]) }];
  };
  return { terms: [...plane(upper, 2 ** PLANE_SHIFT * step), ...plane(lower, step)] };
}
