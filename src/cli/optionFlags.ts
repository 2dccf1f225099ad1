import { OPTION_FIELDS, type CalibrationOptions } from '../calibrate/options.ts';
import { UsageError } from './errors.ts';
import { choice, integer, show, type Flag, type Flags } from './flags.ts';

type FieldName = keyof typeof OPTION_FIELDS;
type Kebab<S extends string> = S extends `${infer C}${infer Rest}`
  ? C extends Lowercase<C>
    ? `${C}${Kebab<Rest>}`
    : `-${Lowercase<C>}${Kebab<Rest>}`
  : S;

/** `--weight-bits` for `weightBits`, and so on: a flag for every option of a calibration; absent ones are those of the preset. */
export type OptionFlags = { readonly [K in FieldName as Kebab<K>]: Flag<string | number | undefined> };

export function optionFlags(): OptionFlags {
  const names = Object.keys(OPTION_FIELDS) as FieldName[];
  return Object.fromEntries(names.map((name) => [flagName(name), optionFlag(name)])) as unknown as OptionFlags;
}

/** The options that were given as flags. */
export function optionsGiven(
  values: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): Partial<CalibrationOptions> {
  const names = (Object.keys(OPTION_FIELDS) as FieldName[]).filter((name) => given.has(flagName(name)));
  return Object.fromEntries(names.map((name) => [name, values[flagName(name)]]));
}

export function flagName(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function optionFlag(name: FieldName): Flags[string] {
  const field = OPTION_FIELDS[name];
  const flag =
    field.kind === 'word'
      ? choice<string>(field.help, '', field.words)
      : field.kind === 'integer'
        ? integer(field.help, 0, field.low, field.high)
        : decimal(field.help, field.low, field.high);
  return { ...flag, absent: undefined };
}

/** A decimal number within bounds, both included. */
function decimal(help: string, low: number, high: number): Flag<number> {
  const read = (text: string): number => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : NaN;
    if (!(value >= low && value <= high))
      throw new UsageError(`must be a number in ${low}..${high}, got ${show(text)}`);
    return value;
  };
  return { placeholder: '<x>', help, required: false, absent: 0, read };
}
