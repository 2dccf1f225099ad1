import { dyadicFault, type Dyadic, type DyadicForm } from '../kernels/dyadic.ts';
import { windowsOf, type IntegerCodes, type IntegerLayout, type IntegerTensor } from './program.ts';

/** What the checks of single operations share. */

/** What one operation is checked with. */
export interface Check {
  /** A declared tensor. */
  readonly tensor: (name: string) => IntegerTensor;
  readonly refuse: (why: string) => never;
}

/** How the outputs of a product are written, which decides the form of its rescales. */
export type OutputClass = 'codes' | 'int16' | 'int32';

export function outputClass({ layout }: { readonly layout: IntegerLayout }): OutputClass {
  return layout === 'int16' || layout === 'int32' ? layout : 'codes';
}

const shown = ({ layout, windows, heads, rows, columns }: IntegerTensor) =>
  `${layout} ${windows === undefined ? '' : `[${windows}]`}[${heads}][${rows}][${columns}]`;

/** The tensor `name`, refused unless it has this layout, shape and kind of codes; what is undefined is free, but one window. */
export function expected(
  name: string,
  wanted: Partial<Pick<IntegerTensor, 'layout' | 'windows' | 'heads' | 'rows' | 'columns'>> & {
    readonly kind?: IntegerCodes['kind'] | readonly IntegerCodes['kind'][];
  },
  { tensor, refuse }: Check,
): IntegerTensor {
  const found = tensor(name);
  const { layout = found.layout, heads = found.heads, rows = found.rows, columns = found.columns, kind } = wanted;
  const windows = wanted.windows === 1 ? undefined : wanted.windows;
  const target = { scales: found.scales, layout, ...(windows ? { windows } : {}), heads, rows, columns };
  if (shown(found) !== shown(target)) refuse(`"${name}" is ${shown(found)}, wanted ${shown(target)}`);
  const kinds = kind === undefined ? undefined : [kind].flat();
  if (kinds && !(found.codes && kinds.includes(found.codes.kind))) {
    refuse(`"${name}" holds ${found.codes?.kind ?? 'no'} codes, wanted ${kinds.join(' or ')}`);
  }
  return found;
}

/** An output of a product: int16, int32 or uniform codes. */
export function writable(name: string, check: Check): IntegerTensor {
  const output = check.tensor(name);
  if (output.layout === 'pixels') check.refuse(`"${name}" is of pixels, which only the input is`);
  return expected(name, { windows: windowsOf(output), ...(output.codes ? { kind: 'uniform' } : {}) }, check);
}

/** Runs a kernel's own check; what it refuses is a fault of the file. */
export function refusing({ refuse }: Check, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    refuse(error.message);
  }
}

export function checkDyadics(rescales: readonly Dyadic[], heads: number, form: DyadicForm, check: Check): void {
  if (rescales.length !== heads) check.refuse(`${rescales.length} rescales, wanted ${heads}, one a head`);
  rescales.forEach((rescale, head) => {
    checkDyadic(`head ${head}`, rescale, form, check);
  });
}

export function checkDyadic(place: string, rescale: Dyadic, form: DyadicForm, { refuse }: Check): void {
  const fault = dyadicFault(rescale, form);
  if (fault !== undefined) refuse(`${place}: ${fault}`);
}

/** The form of the rescale that leads from an accumulator to an output. */
export function rescaleForm(output: Exclude<OutputClass, 'int32'>): DyadicForm {
  return output === 'codes' ? 8 : 'int16';
}
