import { packRowMajor } from './codes.ts';
import { shiftExponential, twinGeluCode, type TwinGeluRescale } from './intExp.ts';
import { nearestCode, packPlanes, type NonlinearCodes } from './levels.ts';

/** ShiftGELU of one row: x times its sigmoid in units of 2^-7, by exponentials below the row maximum. */
export function shiftGeluRow(row: readonly number[], unit: number): number[] {
  const largest = Math.max(...row);
  const fromZero = shiftExponential(-largest, unit, 23);
  return row.map((x) => {
    const part = shiftExponential(x - largest, unit, 23);
    const factor = Math.floor((2 ** 31 - 1) / Math.min(part + fromZero, 2 ** 31 - 1));
    return x * Math.floor((part * factor) / 2 ** 24) || 0; // never -0
  });
}

/** Reference of `shift_gelu.wgsl` on unpacked input codes `[rows][columns]`: packed codes `[rows][planes][ceil(columns / 4)]`. */
export function shiftGeluReference(
  values: ArrayLike<number>,
  {
    columns,
    unit,
    codes = { kind: 'twin' },
    ...twin
  }: TwinGeluRescale & { readonly columns: number; readonly unit: number; readonly codes?: NonlinearCodes },
): Uint32Array {
  const all = Array.from(values);
  const rows = all.length / columns;
  const results = Array.from({ length: rows }, (_, row) =>
    shiftGeluRow(all.slice(row * columns, (row + 1) * columns), unit),
  );
  if (codes.kind !== 'twin') {
    const dyadic = { multiplier: twin.multiplier, shift: twin.multiplierShift };
    const values = results.flatMap((row) => row.map((y) => nearestCode(y, dyadic, codes, twin.bits)));
    return packPlanes(values, columns, codes, 'gelu');
  }
  const twins = results.flatMap((row) => row.map((y) => twinGeluCode(y, twin)));
  return packRowMajor(twins, rows, columns);
}
