import { largestProduct } from '../format/bounds.ts';
import { operandCodes } from '../format/codes.ts';
import {
  windowsOf,
  type IntegerProgram,
  type IntegerTensor,
  type LinearOperation,
  type ProductOperation,
} from '../format/program.ts';
import type { Bindable, Dispatch } from '../gpu/kernel.ts';
import { matmulRequantize, type MatmulRequantizeParams } from '../kernels/matmulRequantize.ts';
import {
  denseOutput,
  requantizedGroups,
  type RequantizedOutput,
  type RequantizedType,
} from '../kernels/requantizedLayout.ts';
import { codeBounds, codesOf, type StepContext } from './context.ts';
import type { ProductShape } from './tiles.ts';

type Geometry = Pick<
  MatmulRequantizeParams,
  | 'images'
  | 'heads'
  | 'rows'
  | 'depth'
  | 'planes'
  | 'columns'
  | 'aKind'
  | 'aBits'
  | 'shift'
  | 'output'
  | 'a'
  | 'b'
  | 'bias'
  | 'rescale'
>;

/** The products of an operation for `images` images, as far as the best tile depends on them. */
export function productShapes(
  { tensors }: IntegerProgram,
  operation: LinearOperation | ProductOperation,
  images: number,
): ProductShape[] {
  const of = (name: string) => tensors[name] as IntegerTensor;
  const geometries =
    operation.kind === 'linear'
      ? operation.outputs.map(({ tensor, first }) => linearGeometry(operation, of, tensor, first, images))
      : [productGeometry(operation, of, images)];
  return geometries.map(tileShape);
}

/** Two planes cost what twice the depth does. */
function tileShape({ images, heads, rows, depth, planes = 1, columns, aKind, output }: Geometry): ProductShape {
  return { images, heads, rows, depth: planes * depth, columns, aKind, outputType: output.type };
}

/** One integer product an output: weight, bias, rescale and residual in the same dispatch. */
export async function linearStep(context: StepContext, operation: LinearOperation): Promise<Dispatch[]> {
  const { name, input, residual } = operation;
  const { bias, multipliers } = context.model.linear.get(name) ?? { bias: null, multipliers: null };
  return Promise.all(
    operation.outputs.map(({ tensor, first }) => {
      const geometry = linearGeometry(operation, (of) => context.tensor(of), tensor, first, context.images);
      return matmulStep(context, { ...geometry, largestSum: context.largestSum(name) }, tensor, {
        a: context.activation(input),
        b: context.parameter(`${name}.weight`),
        bias: bias && context.parameter(`${name}.bias`),
        rescale: multipliers && context.parameter(`${name}.rescale`),
        residual: residual && { ...residual, buffer: context.activation(residual.tensor) },
      });
    }),
  );
}

/** A product of two activations, every head by itself. */
export async function productStep(context: StepContext, operation: ProductOperation): Promise<Dispatch[]> {
  const { name, a, b, output, bias, rescales } = operation;
  const geometry = productGeometry(operation, (of) => context.tensor(of), context.images);
  const [left, right] = [codesOf(context.tensor(a), a), codesOf(context.tensor(b), b)];
  const largestSum = largestProduct(left, right, geometry.depth, bias);
  const dispatch = await matmulStep(context, { ...geometry, largestSum }, output, {
    a: context.activation(a),
    b: context.activation(b),
    bias: bias && context.parameter(`${name}.bias`),
    rescale: rescales && context.parameter(`${name}.rescale`),
    residual: null,
  });
  return [dispatch];
}

interface Operands {
  readonly a: Bindable;
  readonly b: Bindable;
  readonly bias: Bindable | null;
  readonly rescale: Bindable | null;
  readonly residual: { readonly buffer: Bindable; readonly multiplier: number; readonly shift: number } | null;
}

function matmulStep(
  context: StepContext,
  geometry: Geometry & Pick<MatmulRequantizeParams, 'largestSum'>,
  output: string,
  { residual, ...buffers }: Operands,
): Promise<Dispatch> {
  const { codes } = context.tensor(output);
  return matmulRequantize(
    context.device,
    { ...buffers, residual: residual?.buffer ?? null, y: context.activation(output) },
    {
      ...geometry,
      ...(codes ? codeBounds(codes) : {}),
      ...(residual ? { residual: { multiplier: residual.multiplier, shift: residual.shift, offset: 0 } } : {}),
      variant: context.tiles.variantFor(tileShape(geometry)),
    },
  );
}

/**
 * The part of a linear that makes `heads * columns` features from `first` on. The rows of all images are those of one matrix where
 * the output lies so (windows are as many images), which fills tiles better; heads are shares of the weight's columns.
 */
function linearGeometry(
  { input, inFeatures: depth, outFeatures }: LinearOperation,
  of: (name: string) => IntegerTensor,
  tensor: string,
  first: number,
  images: number,
): Geometry {
  const { heads, rows, columns, layout } = of(tensor);
  const windows = images * windowsOf(of(tensor));
  const together = heads === 1 && (layout === 'left' || layout === 'int16' || layout === 'int32');
  const output = outputOf(of(tensor));
  const left = leftCodes(of(input), input);
  const words = left.planes * Math.ceil(depth / 4);
  return {
    ...(together ? { images: 1, rows: windows * rows } : { images: windows, rows }),
    heads,
    depth,
    columns,
    ...left,
    a: { offset: 0, imageStride: rows * words, headStride: 0, rowStride: words },
    b: { offset: first, imageStride: 0, headStride: columns, rowStride: outFeatures },
    bias: { offset: first, headStride: columns },
    rescale: { offset: first, headStride: columns, columnStride: 1 },
    output,
  };
}

function productGeometry(operation: ProductOperation, of: (name: string) => IntegerTensor, images: number): Geometry {
  const [left, right, target] = [of(operation.a), of(operation.b), of(operation.output)];
  const { heads, rows, columns: depth } = left;
  const columns = right.layout === 'right' ? right.columns : right.rows;
  const words = Math.ceil(depth / 4);
  const dense = outputOf(target);
  return {
    images: images * windowsOf(left),
    heads,
    rows,
    depth,
    columns,
    ...leftCodes(left, operation.a),
    b: { offset: 0, imageStride: heads * words * columns, headStride: words * columns, rowStride: columns },
    bias: { offset: 0, headStride: columns },
    rescale: { offset: 0, headStride: 1, columnStride: 0 },
    output: target.heads === heads ? dense : sideBySide(dense, columns),
  };
}

/** The output of heads of `columns` columns each that lie side by side in one matrix; `columns` fill whole words. */
function sideBySide({ type, view }: RequantizedOutput, columns: number): RequantizedOutput {
  const [, across] = requantizedGroups(type, 1, columns);
  return { type, view: { ...view, headStride: across * view.columnStride } };
}

function outputOf({ layout, ...shape }: IntegerTensor): RequantizedOutput & { readonly type: RequantizedType } {
  if (layout === 'pixels') throw new Error('no product writes pixels');
  return denseOutput(layout, shape);
}

function leftCodes(tensor: IntegerTensor, name: string) {
  const { kind, bits, shift, planes } = operandCodes(codesOf(tensor, name));
  return { aKind: kind, aBits: bits, shift, planes };
}
