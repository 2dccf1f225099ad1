import { FormatError } from '../io/errors.ts';
import { checkGeluConstants } from '../kernels/geluConstants.ts';
import { MOST_NORM_FEATURES } from '../kernels/layerNormConstants.ts';
import { checkSoftmaxConstants } from '../kernels/softmaxConstants.ts';
import { largestProduct } from './bounds.ts';
import {
  checkDyadic,
  checkDyadics,
  expected,
  outputClass,
  refusing,
  rescaleForm,
  writable,
  type Check,
  type OutputClass,
} from './operationCheck.ts';
import {
  normWritesRows,
  windowsOf,
  type GeluOperation,
  type IntegerOperation,
  type IntegerTensor,
  type LayerNormOperation,
  type LinearOperation,
  type PatchesOperation,
  type ProductOperation,
  type SoftmaxOperation,
  type TokensOperation,
} from './program.ts';
import { validateAttentionBias, validateGatherRows, validateMeanRows } from './validateWindows.ts';

/**
 * Throws unless the tensors of an operation, all of them declared, have the layouts, shapes and codes that it reads and writes.
 *
 * @throws FormatError naming the file, the operation and the number seen
 */
export function validateOperation(
  operation: IntegerOperation,
  tensors: Readonly<Record<string, IntegerTensor>>,
  file: string,
): void {
  const refuse = (why: string): never => {
    throw new FormatError(`${file}: ${operation.kind} "${operation.name}": ${why}`);
  };
  const check = { tensor: (name: string) => tensors[name] ?? refuse(`"${name}" is not declared`), refuse };
  switch (operation.kind) {
    case 'patches':
      return validatePatches(operation, check);
    case 'linear':
      return validateLinear(operation, check);
    case 'product':
      return validateProduct(operation, check);
    case 'tokens':
      return validateTokens(operation, check);
    case 'layerNorm':
      return validateLayerNorm(operation, check);
    case 'softmax':
      return validateSoftmax(operation, check);
    case 'gelu':
      return validateGelu(operation, check);
    case 'gatherRows':
      return validateGatherRows(operation, check);
    case 'attentionBias':
      return validateAttentionBias(operation, check);
    case 'meanRows':
      return validateMeanRows(operation, check);
  }
}

function validatePatches({ input, output, patchSize }: PatchesOperation, check: Check): void {
  const { rows, columns } = expected(input, { layout: 'pixels', heads: 1 }, check);
  if (rows % patchSize !== 0 || columns % patchSize !== 0) {
    check.refuse(`an image of ${columns} x ${rows} is no multiple of its patches of ${patchSize}`);
  }
  const shape = { heads: 1, rows: (rows * columns) / patchSize ** 2, columns: 3 * patchSize ** 2 };
  const { codes } = expected(output, { layout: 'left', ...shape, kind: 'uniform' }, check);
  if (codes?.bits !== 8) check.refuse(`"${output}" has codes of ${codes?.bits} bits, wanted 8`);
}

function validateLinear(operation: LinearOperation, check: Check): void {
  const { input, inFeatures, outFeatures, outputs, residual } = operation;
  const windows = windowsOf(check.tensor(input));
  const rows = windows * expected(input, { layout: 'left', windows, heads: 1, columns: inFeatures }, check).rows;
  let covered = 0;
  const classes = new Set<OutputClass>();
  for (const { tensor: name, first } of outputs) {
    const output = writable(name, check);
    const outputRows = windowsOf(output) * output.rows;
    if (outputRows !== rows) check.refuse(`"${name}" has ${outputRows} rows, the input ${rows}`);
    if (first !== covered) check.refuse(`"${name}" takes output features from ${first} on, wanted from ${covered} on`);
    covered += output.heads * output.columns;
    classes.add(outputClass(output));
  }
  if (covered !== outFeatures) check.refuse(`its outputs take ${covered} of ${outFeatures} output features`);
  if (classes.size !== 1) check.refuse(`its outputs are ${[...classes].join(' and ')}, wanted one of these`);
  if (!residual) return;
  const [only] = outputs;
  if (outputs.length !== 1 || !only || !classes.has('int16')) {
    check.refuse(`a residual needs one int16 output, it has ${outputs.length} of ${[...classes].join()}`);
  } else {
    const { heads, columns } = expected(only.tensor, { rows }, check);
    expected(residual.tensor, { layout: 'int16', heads, rows, columns }, check);
    checkDyadic('the residual', residual, 'term', check);
  }
}

function validateProduct({ a, b, output, bias, rescales }: ProductOperation, check: Check): void {
  const windows = windowsOf(check.tensor(a));
  const left = expected(a, { layout: 'left', windows }, check);
  const { heads, rows, columns: depth } = left;
  const transposed = check.tensor(b).layout === 'right-transposed';
  const right = expected(
    b,
    transposed
      ? { windows, heads, columns: depth, kind: 'uniform' }
      : { layout: 'right', windows, heads, rows: depth, kind: 'uniform' },
    check,
  );
  const columns = transposed ? right.rows : right.columns;

  const target = writable(output, check);
  const merged = heads > 1 && target.heads === 1;
  expected(output, { windows, heads: merged ? 1 : heads, rows, columns: merged ? heads * columns : columns }, check);
  const group = { left: 4, right: 1, 'right-transposed': 4, int16: 2, int32: 1, pixels: 1 }[target.layout];
  if (merged && columns % group !== 0) {
    check.refuse(
      `heads of ${columns} columns cannot lie side by side in ${target.layout}: wanted a multiple of ${group}`,
    );
  }

  const form = outputClass(target);
  if ((rescales === null) !== (form === 'int32')) {
    check.refuse(`an output of ${form} ${rescales ? 'takes no' : 'needs'} rescales`);
  }
  if (rescales && form !== 'int32') checkDyadics(rescales, heads, rescaleForm(form), check);
  if (bias && form === 'int32') check.refuse('an output of int32 takes no bias');
  if (bias && bias.length !== heads) check.refuse(`${bias.length} biases, wanted ${heads}, one a head`);
  if (!left.codes || !right.codes) return;
  const bound = largestProduct(left.codes, right.codes, depth, bias);
  if (bound >= 2 ** 31) {
    check.refuse(
      `shift ${left.codes.shift} at depth ${depth} can reach ${bound} in a 32-bit accumulator, wanted below 2^31`,
    );
  }
}

function validateTokens({ input, output, prefixRows }: TokensOperation, check: Check): void {
  const { rows, columns, scales } = expected(input, { layout: 'int16', heads: 1 }, check);
  const shape = { heads: 1, rows: prefixRows + rows, columns };
  const result = expected(output, { layout: 'int16', ...shape }, check);
  if (scales[0] !== result.scales[0]) {
    check.refuse(`"${input}" has scale ${scales[0]} and "${output}" ${result.scales[0]}, wanted the same`);
  }
}

function validateLayerNorm(operation: LayerNormOperation, check: Check): void {
  const { input, output, row, form, epsilon } = operation;
  const { rows, columns } = expected(input, { layout: 'int16', heads: 1 }, check);
  if (columns > MOST_NORM_FEATURES) check.refuse(`${columns} features, at most ${MOST_NORM_FEATURES} fit its sums`);
  if (row !== null && row >= rows) check.refuse(`row ${row} of ${rows} rows`);
  if (form === 'published' && epsilon !== 0) check.refuse(`epsilon ${epsilon}, wanted 0 in the published form`);
  const target = check.tensor(output);
  const { layout, heads } = target;
  if (normWritesRows(target) || (layout !== 'int16' && layout !== 'right-transposed' && layout !== 'left')) {
    expected(output, { layout: 'left', heads: 1, rows: row === null ? rows : 1, columns, kind: 'uniform' }, check);
    return;
  }
  if (row !== null) check.refuse(`row ${row} alone into "${output}", wanted rows of codes`);
  if (layout === 'int16') {
    expected(output, { heads: 1, rows, columns }, check);
    return;
  }
  expected(output, { rows, columns: columns / heads, kind: 'uniform' }, check);
  if (heads > 1 && target.columns % 2 !== 0) {
    check.refuse(`heads of ${target.columns} features in rows of two a word, wanted an even number`);
  }
}

function validateSoftmax(operation: SoftmaxOperation, check: Check): void {
  const { input, output, rescales, codeRescales, constants } = operation;
  const windows = windowsOf(check.tensor(input));
  const { heads, rows, columns } = expected(input, { layout: 'int32', windows }, check);
  const kind = ['twin-softmax', 'levels-softmax', 'uniform'] as const;
  const { codes } = expected(output, { layout: 'left', windows, heads, rows, columns, kind }, check);
  checkDyadics(rescales, heads, 'int16', check);
  if ((codeRescales === null) !== (codes?.kind === 'twin-softmax')) {
    check.refuse(`an output of ${codes?.kind} codes ${codeRescales ? 'takes no' : 'needs'} codeRescales`);
  }
  if (codeRescales) checkDyadics(codeRescales, heads, 'int16', check);
  refusing(check, () => checkSoftmaxConstants(constants, columns));
}

function validateGelu({ input, output, constants }: GeluOperation, check: Check): void {
  const { layout, heads, rows, columns, codes } = check.tensor(input);
  if (layout !== 'int16' && !(layout === 'left' && codes?.kind === 'uniform' && codes.bits === 8)) {
    const found = codes ? `${codes.kind} codes of ${codes.bits} bits in ` : '';
    check.refuse(`"${input}" is ${found}${layout}, wanted int16 or uniform codes of 8 bits in left`);
  }
  const kind = constants.method === 'lut-codes' ? 'twin-gelu' : (['twin-gelu', 'levels-gelu', 'uniform'] as const);
  const { codes: target } = expected(output, { layout: 'left', heads, rows, columns, kind }, check);
  if (!target) return;
  refusing(check, () => checkGeluConstants(constants, layout === 'int16' ? 16 : 8, target.shift));
  if (constants.method === 'lut-codes') {
    const bytes = new Uint8Array(constants.table.buffer, constants.table.byteOffset, constants.table.byteLength);
    const at = bytes.findIndex((byte) => byte >= 2 ** target.bits);
    if (at >= 0)
      check.refuse(`code ${at} of its table is ${bytes[at]}, outside the ${target.bits} bits of "${output}"`);
  }
}
