import type { NormParameters } from '../format/model.ts';
import {
  windowsOf,
  type GeluOperation,
  type IntegerTensor,
  type LayerNormOperation,
  type SoftmaxOperation,
} from '../format/program.ts';
import type { Bindable, Dispatch } from '../gpu/kernel.ts';
import { dequantize } from '../kernels/dequantize.ts';
import { geluF32 } from '../kernels/geluF32.ts';
import { int16Words } from '../kernels/int16.ts';
import { layerNormF32 } from '../kernels/layerNormF32.ts';
import { levelEntries, quantizeLevels } from '../kernels/quantizeLevels.ts';
import { quantizeTwinGelu, twinGeluTable } from '../kernels/quantizeTwinGelu.ts';
import { quantizeTwinSoftmax, twinSoftmaxTable } from '../kernels/quantizeTwinSoftmax.ts';
import { quantizeUniform } from '../kernels/quantizeUniform.ts';
import { softmaxF32 } from '../kernels/softmaxF32.ts';
import { codesOf, type StepContext } from './context.ts';
import { layerNormParameters } from './layerNormParameters.ts';

/**
 * Operations of the integer program computed in float between its products: the integers of the input times their scale, the exact
 * function in f32, and the codes of the output as a calibration rounds them.
 */

/** Softmax in float (PTQ4ViT, section 3.2, for its twin codes). */
export async function floatSoftmax(
  context: StepContext,
  { name, input, output, factor }: SoftmaxOperation,
): Promise<Dispatch[]> {
  const { device, images } = context;
  const tensor = context.tensor(input);
  const codes = codesOf(context.tensor(output), output);
  const rows = images * windowsOf(tensor) * tensor.heads * tensor.rows;
  const depth = tensor.columns;
  const [x, y] = scratches(context, rows * depth);
  const float = [
    await integersToFloat(context, name, input, x, factor),
    await softmaxF32(device, { x, y }, { rows, columns: depth, scale: 1 }),
  ];
  if (codes.kind !== 'twin-softmax') return [...float, await floatToCodes(context, name, y, output)];
  const { bits, shift, boundary = 'nearest' } = codes;
  const table = context.parameter(`${name}.float.table`, () =>
    Float32Array.from(twinSoftmaxTable(shift, bits, boundary)),
  );
  const buffers = { source: y, table, codes: context.activation(output) };
  return [...float, await quantizeTwinSoftmax(device, buffers, { candidates: 1, rows, depth, bits })];
}

/** The exact GELU in float (PTQ4ViT, section 3.2, for its twin codes). */
export async function floatGelu(context: StepContext, { name, input, output }: GeluOperation): Promise<Dispatch[]> {
  const { device, images } = context;
  const tensor = context.tensor(input);
  const written = context.tensor(output);
  const codes = codesOf(written, output);
  const rows = images * tensor.heads * tensor.rows;
  const depth = tensor.columns;
  const [x, y] = scratches(context, rows * depth);
  const float = [
    await integersToFloat(context, name, input, x),
    await geluF32(device, { x, y }, { count: rows * depth }),
  ];
  if (codes.kind !== 'twin-gelu') return [...float, await floatToCodes(context, name, y, output)];
  const { bits, shift } = codes;
  const table = context.parameter(`${name}.float.table`, () => {
    const scaleR1 = stepOf(written);
    return Float32Array.from(twinGeluTable(scaleR1, scaleR1 * 2 ** shift));
  });
  const buffers = { source: y, table, codes: context.activation(output) };
  return [...float, await quantizeTwinGelu(device, buffers, { candidates: 1, rows, depth, bits })];
}

/** LayerNorm in float with the gamma and beta that its integers stand for. */
export async function floatLayerNorm(
  context: StepContext,
  { name, input, output, row, form, floatEpsilon }: LayerNormOperation,
): Promise<Dispatch[]> {
  const { device, images } = context;
  const { columns: features } = context.tensor(input);
  const written = context.tensor(output);
  const rows = images * written.rows;
  const [x, y] = scratches(context, rows * features);
  const real = () => layerNormParameters(form, context.model.norms.get(name) as NormParameters, stepOf(written));
  const gain = context.parameter(`${name}.float.gain`, () => Float32Array.from(real().gamma));
  const shift = context.parameter(`${name}.float.shift`, () => Float32Array.from(real().beta));
  return [
    await integersToFloat(context, name, input, x, 1, row),
    await layerNormF32(device, { x, gain, shift, y }, { rows, features, epsilon: floatEpsilon }),
    await floatToCodes(context, name, y, output),
  ];
}

/** Levels or uniform codes of the values of `output`, dense in `source`. */
function floatToCodes(context: StepContext, name: string, source: Bindable, output: string): Promise<Dispatch> {
  const { device } = context;
  const tensor = context.tensor(output);
  const images = context.images * windowsOf(tensor);
  const { heads, rows, columns: depth, scales } = tensor;
  const { kind, bits, levels } = codesOf(tensor, output);
  const codes = context.activation(output);
  if (levels) {
    const operand = kind === 'levels-softmax' ? 'softmax' : 'gelu';
    const entries = levelEntries({ operand, bits, step: stepOf(tensor), levels });
    const thresholds = context.parameter(`${name}.float.thresholds`, () => Float32Array.from(entries.thresholds));
    const planes = context.parameter(`${name}.float.planes`, () => Uint32Array.from(entries.planes));
    const shape = { candidates: 1, rows: images * heads * rows, depth, bits };
    return quantizeLevels(device, { source, thresholds, planes, codes }, shape);
  }
  const inverseScales = context.parameter(`${name}.float.inverseScale`, () =>
    Float32Array.from(scales, (scale) => 1 / scale),
  );
  const strides = { offset: 0, imageStride: heads * rows * depth, headStride: rows * depth, rowStride: depth };
  const groups = {
    depthStride: 1,
    groupsPerCandidate: scales.length,
    groupPerHead: scales.length > 1 ? 1 : 0,
    rowsPerGroup: 0,
  } as const;
  const shape = { layout: 'row-major', candidates: 1, images, heads, rows, depth } as const;
  return quantizeUniform(device, { source, inverseScales, codes }, { bits, ...shape, ...strides, ...groups });
}

/** `factor` times the real values of a tensor, or of one row of each image, dense in `y`. */
function integersToFloat(
  context: StepContext,
  name: string,
  input: string,
  y: Bindable,
  factor = 1,
  row: number | null = null,
): Promise<Dispatch> {
  const { device } = context;
  const tensor = context.tensor(input);
  const images = context.images * windowsOf(tensor);
  const { heads, rows, columns } = tensor;
  const scales = context.parameter(`${name}.float.scales`, () =>
    Float32Array.from({ length: heads }, (_, head) => factor * stepOf(tensor, head)),
  );
  const bits = bitsOf(tensor, input);
  const selected =
    row === null
      ? { rows: images * heads * rows, rowsPerHead: rows, heads }
      : { rows: images, offset: row * int16Words(columns), rowStride: rows * int16Words(columns) };
  return dequantize(device, { source: context.activation(input), scales, y }, { bits, columns, ...selected });
}

function bitsOf({ layout, codes }: IntegerTensor, name: string): 8 | 16 | 32 {
  if (layout === 'int32') return 32;
  if (layout === 'int16') return 16;
  if (layout === 'left' && codes?.kind === 'uniform') return 8;
  throw new Error(`tensor ${name} of layout ${layout} is no input of a float operation`);
}

/** Real value of one unit of a head. */
function stepOf({ scales }: IntegerTensor, head = 0): number {
  return scales[scales.length === 1 ? 0 : head] as number;
}

function scratches(context: StepContext, elements: number): [Bindable, Bindable] {
  return [context.scratch('a', 4 * elements), context.scratch('b', 4 * elements)];
}
