import { nonlinearCodes, operandCodes } from '../format/codes.ts';
import type { IntegerModel } from '../format/model.ts';
import type {
  GeluOperation,
  IntegerOperation,
  IntegerTensor,
  LayerNormOperation,
  LinearOperation,
  PatchesOperation,
  ProductOperation,
  SoftmaxOperation,
  TokensOperation,
} from '../format/program.ts';
import { codeBounds, codesOf } from './context.ts';
import { biasColumns } from './parameters.ts';
import { codeWords } from '../kernels/codes.ts';
import { packDyadics } from '../kernels/dyadic.ts';
import { denseOutput, outputExtent, type RequantizedOutput } from '../kernels/requantizedLayout.ts';
import { twinThreshold } from '../kernels/softmaxConstants.ts';
import { assembleTokensI16Reference } from '../reference/assembleTokensI16.ts';
import { packDepthMajor, packRowMajor, unpackRowMajor } from '../reference/codes.ts';
import { packInt16, unpackInt16 } from '../reference/fixedPoint.ts';
import { intGeluReference } from '../reference/intGelu.ts';
import { intLayerNormReference } from '../reference/intLayerNorm.ts';
import { intSoftmaxReference } from '../reference/intSoftmax.ts';
import { matmulRequantizeReference } from '../reference/matmulRequantize.ts';
import { patchCodesReference } from '../reference/patchCodes.ts';
import { shiftGeluReference } from '../reference/shiftGelu.ts';

/** Words of every tensor so far of one image, laid out as on a device. */
export type TensorWords = Map<string, Uint32Array>;

/** Runs one operation of the model over the twins of `reference/`: reads its inputs from `words` and sets its outputs there. */
export function referenceOperation(model: IntegerModel, operation: IntegerOperation, words: TensorWords): void {
  switch (operation.kind) {
    case 'patches':
      return patches(model, operation, words);
    case 'linear':
      return linear(model, operation, words);
    case 'product':
      return product(model, operation, words);
    case 'tokens':
      return tokens(model, operation, words);
    case 'layerNorm':
      return layerNorm(model, operation, words);
    case 'softmax':
      return softmax(model, operation, words);
    case 'gelu':
      return gelu(model, operation, words);
  }
}

function patches({ program }: IntegerModel, { input, output, patchSize }: PatchesOperation, words: TensorWords): void {
  const { rows: height, columns: width } = tensorOf(program.tensors, input);
  const { rows, columns } = tensorOf(program.tensors, output);
  const { buffer, byteOffset } = of(words, input);
  const pixels = new Uint8Array(buffer, byteOffset, height * width * 3);
  words.set(output, packRowMajor(patchCodesReference(pixels, { images: 1, height, width, patchSize }), rows, columns));
}

function linear({ program, linear }: IntegerModel, operation: LinearOperation, words: TensorWords): void {
  const { name, input, inFeatures: depth, outFeatures, outputs, residual } = operation;
  const { codes, bias, multipliers, shifts } = of(linear, name);
  const b = packDepthMajor(codes, outFeatures, depth);
  const entries = multipliers && Array.from(multipliers, (multiplier, i) => ({ multiplier, shift: shifts?.[i] ?? 0 }));
  const left = leftOperand(tensorOf(program.tensors, input), input);
  for (const { tensor, first } of outputs) {
    const target = tensorOf(program.tensors, tensor);
    const { heads, rows, columns } = target;
    const output = outputOf(target);
    const y = new Uint32Array(outputExtent(output, { images: 1, heads, rows, columns }));
    const data = {
      a: of(words, input),
      b,
      bias,
      rescale: entries && packDyadics(entries),
      residual: residual && of(words, residual.tensor),
      y,
    };
    matmulRequantizeReference(data, {
      images: 1,
      heads,
      rows,
      depth,
      columns,
      ...left,
      a: { offset: 0, imageStride: 0, headStride: 0, rowStride: left.planes * codeWords(depth) },
      b: { offset: first, imageStride: 0, headStride: columns, rowStride: outFeatures },
      bias: { offset: first, headStride: columns },
      rescale: { offset: first, headStride: columns, columnStride: 1 },
      output,
      ...bounds(target),
      ...(residual ? { residual: { multiplier: residual.multiplier, shift: residual.shift, offset: 0 } } : {}),
    });
    words.set(tensor, y);
  }
}

function product({ program }: IntegerModel, operation: ProductOperation, words: TensorWords): void {
  const left = tensorOf(program.tensors, operation.a);
  const { heads, rows, columns: depth } = left;
  const right = tensorOf(program.tensors, operation.b);
  const target = tensorOf(program.tensors, operation.output);
  const columns = right.layout === 'right' ? right.columns : right.rows;
  const dense = outputOf(target);
  const y = new Uint32Array(outputExtent(dense, { ...target, images: 1 }));
  const codes = leftOperand(left, operation.a);
  const depthWords = codeWords(depth);
  const aWords = codes.planes * depthWords;
  matmulRequantizeReference(
    {
      a: of(words, operation.a),
      b: of(words, operation.b),
      bias: operation.bias && biasColumns(operation.bias, target),
      rescale: operation.rescales && packDyadics(operation.rescales),
      residual: null,
      y,
    },
    {
      images: 1,
      heads,
      rows,
      depth,
      columns,
      ...codes,
      a: { offset: 0, imageStride: 0, headStride: rows * aWords, rowStride: aWords },
      b: { offset: 0, imageStride: 0, headStride: depthWords * columns, rowStride: columns },
      bias: { offset: 0, headStride: columns },
      rescale: { offset: 0, headStride: 1, columnStride: 0 },
      output: target.heads === heads ? dense : sideBySide(dense, columns),
      ...bounds(target),
    },
  );
  words.set(operation.output, y);
}

/** The output of a product whose heads, of `columns` columns each, lie side by side in the columns of one matrix. */
function sideBySide({ type, view }: RequantizedOutput, columns: number): RequantizedOutput {
  const perWord = { codes: 4, 'codes-by-rows': 1, int16: 2, int32: 1 }[type];
  return { type, view: { ...view, headStride: (columns / perWord) * view.columnStride } };
}

function tokens({ program, tokens }: IntegerModel, operation: TokensOperation, words: TensorWords): void {
  const { rows, columns } = tensorOf(program.tensors, operation.input);
  const x = unpackInt16(of(words, operation.input), rows, columns);
  const y = assembleTokensI16Reference(x, of(tokens, operation.name).values, 1);
  words.set(operation.output, packInt16(y, columns));
}

function layerNorm({ program, norms }: IntegerModel, operation: LayerNormOperation, words: TensorWords): void {
  const { name, input, output, row, form, epsilon } = operation;
  const { rows, columns: features } = tensorOf(program.tensors, input);
  const { multipliers, shifts, bias } = of(norms, name);
  const gain = Int32Array.from({ length: 2 * features }, (_, i) => (i % 2 === 0 ? multipliers : shifts)[i >> 1] ?? 0);
  const all = unpackInt16(of(words, input), rows, features);
  const x = row === null ? all : all.subarray(row * features, (row + 1) * features);
  const target = tensorOf(program.tensors, output);
  const codes = intLayerNormReference(x, { gain, bias }, { features, form, epsilon, ...bounds(target) });
  words.set(output, packRowMajor(codes, target.rows, features));
}

function softmax({ program }: IntegerModel, operation: SoftmaxOperation, words: TensorWords): void {
  const { input, output, logitBits, rescales, codeRescales, constants } = operation;
  const { heads, rows, columns } = tensorOf(program.tensors, input);
  const target = codesOf(tensorOf(program.tensors, output), output);
  const { bits, shift, boundary = 'nearest' } = target;
  const codes = nonlinearCodes(target);
  const { buffer, byteOffset, length } = of(words, input);
  const threshold = codes.kind === 'twin' ? twinThreshold(shift, bits, boundary) : 0;
  const shape = {
    rows: heads * rows,
    columns,
    rowsPerHead: rows,
    heads,
    logitBits,
    bits,
    shift,
    threshold,
    codes,
    constants,
  };
  const dyadics = packDyadics([...rescales, ...(codeRescales ?? [])]);
  words.set(output, intSoftmaxReference(new Int32Array(buffer, byteOffset, length), dyadics, shape));
}

function gelu({ program }: IntegerModel, { input, output, constants }: GeluOperation, words: TensorWords): void {
  const { layout, heads, rows, columns } = tensorOf(program.tensors, input);
  const target = codesOf(tensorOf(program.tensors, output), output);
  const { bits, shift } = target;
  const values = (layout === 'int16' ? unpackInt16 : unpackRowMajor)(of(words, input), heads * rows, columns);
  const shape = { columns, bits, shift, codes: nonlinearCodes(target) };
  words.set(
    output,
    constants.method === 'shift'
      ? shiftGeluReference(values, { ...shape, ...constants })
      : intGeluReference(values, { ...shape, constants }),
  );
}

function outputOf({ layout, ...shape }: IntegerTensor): RequantizedOutput {
  if (layout === 'pixels') throw new Error('no product writes pixels');
  return denseOutput(layout, shape);
}

function leftOperand(tensor: IntegerTensor, name: string) {
  const { kind, bits, shift, planes } = operandCodes(codesOf(tensor, name));
  return { aKind: kind, aBits: bits, shift, planes };
}

/** Inclusive bounds of the codes of a tensor; none for int16 and int32. */
function bounds({ codes }: IntegerTensor): { readonly qmin?: number; readonly qmax?: number } {
  return codes ? codeBounds(codes) : {};
}

function tensorOf(tensors: Readonly<Record<string, IntegerTensor>>, name: string): IntegerTensor {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`no tensor ${name}`);
  return tensor;
}

function of<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`nothing named ${name}`);
  return value;
}
