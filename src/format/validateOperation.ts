import { FormatError } from '../io/errors.ts';
import { dyadicFault, type Dyadic, type DyadicForm } from '../kernels/dyadic.ts';
import { checkGeluConstants } from '../kernels/geluConstants.ts';
import { MOST_NORM_FEATURES } from '../kernels/layerNormConstants.ts';
import { checkSoftmaxConstants } from '../kernels/softmaxConstants.ts';
import { largestProduct } from './bounds.ts';
import type {
  GeluOperation,
  IntegerCodes,
  IntegerLayout,
  IntegerOperation,
  IntegerTensor,
  LayerNormOperation,
  LinearOperation,
  PatchesOperation,
  ProductOperation,
  SoftmaxOperation,
  TokensOperation,
} from './program.ts';

/** What one operation is checked with. */
interface Check {
  /** A declared tensor. */
  readonly tensor: (name: string) => IntegerTensor;
  readonly refuse: (why: string) => never;
}

/** How the outputs of a product are written, which decides the form of its rescales. */
export type OutputClass = 'codes' | 'int16' | 'int32';

export function outputClass({ layout }: { readonly layout: IntegerLayout }): OutputClass {
  return layout === 'int16' || layout === 'int32' ? layout : 'codes';
}

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
  }
}

const shown = ({ layout, heads, rows, columns }: IntegerTensor) => `${layout} [${heads}][${rows}][${columns}]`;

/** The tensor `name`, refused unless it has this layout, shape and kind of codes; what is undefined is free. */
function expected(
  name: string,
  wanted: Partial<Pick<IntegerTensor, 'layout' | 'heads' | 'rows' | 'columns'>> & {
    readonly kind?: IntegerCodes['kind'] | readonly IntegerCodes['kind'][];
  },
  { tensor, refuse }: Check,
): IntegerTensor {
  const found = tensor(name);
  const { layout = found.layout, heads = found.heads, rows = found.rows, columns = found.columns, kind } = wanted;
  const target = { ...found, layout, heads, rows, columns };
  if (shown(found) !== shown(target)) refuse(`"${name}" is ${shown(found)}, wanted ${shown(target)}`);
  const kinds = kind === undefined ? undefined : [kind].flat();
  if (kinds && !(found.codes && kinds.includes(found.codes.kind))) {
    refuse(`"${name}" holds ${found.codes?.kind ?? 'no'} codes, wanted ${kinds.join(' or ')}`);
  }
  return found;
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
  const { rows } = expected(input, { layout: 'left', heads: 1, columns: inFeatures }, check);
  let covered = 0;
  const classes = new Set<OutputClass>();
  for (const { tensor: name, first } of outputs) {
    const output = writable(name, check);
    if (output.rows !== rows) check.refuse(`"${name}" has ${output.rows} rows, the input ${rows}`);
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
    const { heads, columns } = check.tensor(only.tensor);
    expected(residual.tensor, { layout: 'int16', heads, rows, columns }, check);
    checkDyadic('the residual', residual, 'term', check);
  }
}

/** An output of a product: int16, int32 or uniform codes. */
function writable(name: string, check: Check): IntegerTensor {
  const output = check.tensor(name);
  if (output.layout === 'pixels') check.refuse(`"${name}" is of pixels, which only the input is`);
  return expected(name, output.codes ? { kind: 'uniform' } : {}, check);
}

function validateProduct({ a, b, output, bias, rescales }: ProductOperation, check: Check): void {
  const left = expected(a, { layout: 'left' }, check);
  const { heads, rows, columns: depth } = left;
  const transposed = check.tensor(b).layout === 'right-transposed';
  const right = expected(
    b,
    transposed ? { heads, columns: depth, kind: 'uniform' } : { layout: 'right', heads, rows: depth, kind: 'uniform' },
    check,
  );
  const columns = transposed ? right.rows : right.columns;

  const target = writable(output, check);
  const merged = heads > 1 && target.heads === 1;
  expected(output, { heads: merged ? 1 : heads, rows, columns: merged ? heads * columns : columns }, check);
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
  expected(output, { layout: 'left', heads: 1, rows: row === null ? rows : 1, columns, kind: 'uniform' }, check);
}

function validateSoftmax(operation: SoftmaxOperation, check: Check): void {
  const { input, output, rescales, codeRescales, constants } = operation;
  const { heads, rows, columns } = expected(input, { layout: 'int32' }, check);
  const kind = ['twin-softmax', 'levels-softmax', 'uniform'] as const;
  const { codes } = expected(output, { layout: 'left', heads, rows, columns, kind }, check);
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

/** Runs a kernel's own check; what it refuses is a fault of the file. */
function refusing({ refuse }: Check, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    refuse(error.message);
  }
}

function checkDyadics(rescales: readonly Dyadic[], heads: number, form: DyadicForm, check: Check): void {
  if (rescales.length !== heads) check.refuse(`${rescales.length} rescales, wanted ${heads}, one a head`);
  rescales.forEach((rescale, head) => {
    checkDyadic(`head ${head}`, rescale, form, check);
  });
}

function checkDyadic(place: string, rescale: Dyadic, form: DyadicForm, { refuse }: Check): void {
  const fault = dyadicFault(rescale, form);
  if (fault !== undefined) refuse(`${place}: ${fault}`);
}

/** The form of the rescale that leads from an accumulator to an output. */
export function rescaleForm(output: Exclude<OutputClass, 'int32'>): DyadicForm {
  return output === 'codes' ? 8 : 'int16';
}
