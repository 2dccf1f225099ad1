import { nonlinearCodes, operandCodes } from '../format/codes.ts';
import type { IntegerModel } from '../format/model.ts';
import {
  windowsOf,
  type AttentionBiasOperation,
  type GatherRowsOperation,
  type GeluOperation,
  type IntegerOperation,
  type IntegerTensor,
  type LayerNormOperation,
  type LinearOperation,
  type MeanRowsOperation,
  type PatchesOperation,
  type ProductOperation,
  type SoftmaxOperation,
  type TokensOperation,
} from '../format/program.ts';
import { codeBounds, codesOf } from './context.ts';
import { biasColumns } from './parameters.ts';
import { codeWords } from '../kernels/codes.ts';
import { packDyadics } from '../kernels/dyadic.ts';
import { fillWords } from '../kernels/gatherWords.ts';
import { int16Words } from '../kernels/int16.ts';
import { denseOutput, outputExtent, type RequantizedOutput } from '../kernels/requantizedLayout.ts';
import { twinThreshold } from '../kernels/softmaxConstants.ts';
import { assembleTokensI16Reference } from '../reference/assembleTokensI16.ts';
import { attentionBiasI32Reference } from '../reference/attentionBiasI32.ts';
import { packDepthMajor, packRowMajor, unpackRowMajor } from '../reference/codes.ts';
import { packInt16, unpackInt16 } from '../reference/fixedPoint.ts';
import { gatherWordsReference } from '../reference/gatherWords.ts';
import { intGeluReference } from '../reference/intGelu.ts';
import { intLayerNormReference } from '../reference/intLayerNorm.ts';
import { intSoftmaxReference } from '../reference/intSoftmax.ts';
import { matmulRequantizeReference } from '../reference/matmulRequantize.ts';
import { meanRowsI16Reference } from '../reference/meanRowsI16.ts';
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
    case 'gatherRows':
      return gatherRows(model, operation, words);
    case 'attentionBias':
      return attentionBias(model, operation, words);
    case 'meanRows':
      return meanRows(model, operation, words);
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
    const images = windowsOf(target);
    const output = outputOf(target);
    const y = new Uint32Array(outputExtent(output, { images, heads, rows, columns }));
    const aWords = left.planes * codeWords(depth);
    const data = {
      a: of(words, input),
      b,
      bias,
      rescale: entries && packDyadics(entries),
      residual: residual && of(words, residual.tensor),
      y,
    };
    matmulRequantizeReference(data, {
      images,
      heads,
      rows,
      depth,
      columns,
      ...left,
      a: { offset: 0, imageStride: rows * aWords, headStride: 0, rowStride: aWords },
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
  const images = windowsOf(left);
  const y = new Uint32Array(outputExtent(dense, { ...target, images }));
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
      images,
      heads,
      rows,
      depth,
      columns,
      ...codes,
      a: { offset: 0, imageStride: heads * rows * aWords, headStride: rows * aWords, rowStride: aWords },
      b: { offset: 0, imageStride: heads * depthWords * columns, headStride: depthWords * columns, rowStride: columns },
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
  const { rows, columns } = tensorOf(program.tensors, input);
  const { multipliers, shifts, bias } = of(norms, name);
  const gain = Int32Array.from({ length: 2 * columns }, (_, i) => (i % 2 === 0 ? multipliers : shifts)[i >> 1] ?? 0);
  const all = unpackInt16(of(words, input), rows, columns);
  const x = row === null ? all : all.subarray(row * columns, (row + 1) * columns);
  const target = tensorOf(program.tensors, output);
  const { layout, heads, columns: features } = target;
  const limits = layout === 'int16' ? { qmin: -(2 ** 15), qmax: 2 ** 15 - 1 } : bounds(target);
  const values = intLayerNormReference(x, { gain, bias }, { features, form, epsilon, heads, ...limits });
  if (layout === 'int16') words.set(output, packInt16(values, features));
  else if (heads === 1 && layout === 'left') words.set(output, packRowMajor(values, target.rows, features));
  else words.set(output, packHeads(values, target));
}

/** Codes `[rows][heads][columns]` as an operand of a product of heads. */
function packHeads(codes: ArrayLike<number>, target: IntegerTensor): Uint32Array {
  const { heads, rows, columns } = target;
  const { headStride, rowStride, columnStride } = outputOf(target).view;
  const packed = new Uint32Array(heads * rows * codeWords(columns));
  for (let i = 0; i < codes.length; i++) {
    const [row, head, column] = [Math.floor(i / columns / heads), Math.floor(i / columns) % heads, i % columns];
    const at = head * headStride + row * rowStride + (column >> 2) * columnStride;
    const byte = ((codes[i] as number) & 0xff) << (8 * (column % 4));
    packed[at] = ((packed[at] as number) | byte) >>> 0;
  }
  return packed;
}

function gatherRows({ program }: IntegerModel, operation: GatherRowsOperation, words: TensorWords): void {
  const { input, output, indices, fill } = operation;
  const { layout, columns } = tensorOf(program.tensors, input);
  const shape = { images: 1, words: layout === 'int16' ? int16Words(columns) : codeWords(columns) };
  words.set(output, gatherWordsReference(of(words, input), indices, { ...shape, ...fillWords(fill, columns) }));
}

function attentionBias(model: IntegerModel, operation: AttentionBiasOperation, words: TensorWords): void {
  const { name, input, output, index, regions } = operation;
  const { heads, rows: tokens } = tensorOf(model.program.tensors, input);
  const { buffer, byteOffset, length } = of(words, input);
  const { values } = of(model.biases, name);
  const scores = new Int32Array(buffer, byteOffset, length);
  const biased = attentionBiasI32Reference(scores, { index, values, regions }, { heads, tokens });
  words.set(output, new Uint32Array(biased.buffer));
}

function meanRows({ program }: IntegerModel, operation: MeanRowsOperation, words: TensorWords): void {
  const { input, output, first, bias, rescale } = operation;
  const { rows, columns: features } = tensorOf(program.tensors, input);
  const target = tensorOf(program.tensors, output);
  const x = unpackInt16(of(words, input), rows, features);
  const shape = { images: 1, features, first, bias, ...rescale, ...bounds(target) };
  const means = meanRowsI16Reference(x, { ...shape, output: target.codes ? 'codes' : 'int16' });
  words.set(output, target.codes ? packRowMajor(means, 1, features) : packInt16(means, features));
}

function softmax({ program }: IntegerModel, operation: SoftmaxOperation, words: TensorWords): void {
  const { input, output, logitBits, rescales, codeRescales, constants } = operation;
  const { heads, rows, columns } = tensorOf(program.tensors, input);
  const target = codesOf(tensorOf(program.tensors, output), output);
  const { bits, shift, boundary = 'nearest' } = target;
  const codes = nonlinearCodes(target);
  const windows = windowsOf(tensorOf(program.tensors, input));
  const { buffer, byteOffset, length } = of(words, input);
  const threshold = codes.kind === 'twin' ? twinThreshold(shift, bits, boundary) : 0;
  const shape = {
    rows: windows * heads * rows,
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
