import { NO_ROW } from '../kernels/gatherWords.ts';
import { largestRowSum } from '../kernels/meanRowsI16.ts';
import { codeRange } from './bounds.ts';
import { checkDyadic, expected, outputClass, rescaleForm, type Check } from './operationCheck.ts';
import { windowsOf, type AttentionBiasOperation, type GatherRowsOperation, type MeanRowsOperation } from './program.ts';

export function validateGatherRows({ input, output, indices, fill }: GatherRowsOperation, check: Check): void {
  const source = check.tensor(input);
  const { layout, rows, columns, codes } = source;
  if (!(layout === 'int16' || (layout === 'left' && codes?.kind === 'uniform'))) {
    check.refuse(`"${input}" is ${codes?.kind ?? ''} ${layout}, wanted int16 or uniform codes in left`);
  }
  expected(input, { heads: 1 }, check);
  const target = expected(output, { layout, heads: 1 }, check);
  sameScales(input, output, check);
  if (codes && (target.codes?.kind !== codes.kind || target.codes.bits !== codes.bits)) {
    check.refuse(`"${output}" has other codes than "${input}"`);
  }
  const beside = target.columns / columns;
  const group = layout === 'int16' ? 2 : 4;
  if (!Number.isInteger(beside)) {
    check.refuse(`"${output}" has ${target.columns} columns, wanted a multiple of the ${columns} of "${input}"`);
  }
  if (beside > 1 && columns % group !== 0) {
    check.refuse(`rows of ${columns} columns cannot lie side by side in ${layout}: wanted a multiple of ${group}`);
  }
  const wanted = beside * target.rows;
  if (indices.length !== wanted) check.refuse(`${indices.length} indices, wanted ${wanted}`);
  const past = indices.find((index) => index >= rows && index !== NO_ROW);
  if (past !== undefined) check.refuse(`row ${past} of ${rows} rows`);
  const [least, largest] = codes ? codeRange(codes) : [0, 0];
  if (fill < least || fill > largest) check.refuse(`a fill of ${fill}, wanted ${least}..${largest}`);
}

export function validateAttentionBias(operation: AttentionBiasOperation, check: Check): void {
  const { input, output, entries, index, regions } = operation;
  const windows = windowsOf(check.tensor(input));
  const { heads, rows } = expected(input, { layout: 'int32', windows }, check);
  expected(input, { windows, columns: rows }, check);
  expected(output, { layout: 'int32', windows, heads, rows, columns: rows }, check);
  sameScales(input, output, check);
  if (index.length !== rows ** 2) check.refuse(`an index of ${index.length} pairs, wanted ${rows ** 2}`);
  const past = index.find((entry) => entry >= entries);
  if (past !== undefined) check.refuse(`entry ${past} of ${entries} entries`);
  if (regions && regions.length !== windows * rows) {
    check.refuse(`regions of ${regions.length} tokens, wanted ${windows * rows}`);
  }
}

export function validateMeanRows({ input, output, first, bias, rescale }: MeanRowsOperation, check: Check): void {
  const { rows, columns } = expected(input, { layout: 'int16', heads: 1 }, check);
  const target = check.tensor(output);
  const shape = { heads: 1, rows: 1, columns };
  const form = outputClass(target);
  if (form === 'int32') return check.refuse(`"${output}" is int32, wanted int16 or left`);
  expected(output, form === 'int16' ? shape : { layout: 'left', kind: 'uniform', ...shape }, check);
  if (first >= rows) check.refuse(`rows from ${first} on of ${rows} rows`);
  checkDyadic('the mean', rescale, rescaleForm(form), check);
  const bound = largestRowSum(rows - first, bias);
  if (bound >= 2 ** 31) check.refuse(`its sum can reach ${bound}, wanted below 2^31`);
}

function sameScales(input: string, output: string, { tensor, refuse }: Check): void {
  const [from, to] = [tensor(input).scales, tensor(output).scales];
  if (from.length === to.length && from.every((scale, i) => scale === to[i])) return;
  refuse(`"${input}" has scale ${from[0]} and "${output}" ${to[0]}, wanted the same`);
}
