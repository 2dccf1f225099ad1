import { lanesFor } from './codes.ts';

/**
 * How `matmulRequantize` cuts a product into tiles: plain data that a trial can choose among. Results do not depend on it.
 * - `plain`: registers only, runs everywhere
 * - `subgroups`: the lanes of a subgroup share the decoded rows of A; wants subgroups of at least `share` lanes
 * - `workgroup`: tiles of both operands in workgroup memory
 */
export type MatmulVariant =
  | { readonly style: 'plain'; readonly lanes: 16 | 32 }
  | {
      readonly style: 'subgroups';
      /** Lanes of a workgroup; each has 4 columns. */
      readonly lanes: 16 | 32 | 64;
      /** Rows of a tile. */
      readonly rows: 8 | 16;
      /** Lanes that load rows of A for each other. */
      readonly share: 4 | 8;
    }
  | {
      readonly style: 'workgroup';
      /** Lanes of a workgroup along columns, 4 columns each, and along rows, 4 rows each. */
      readonly lanes: readonly [columns: 8 | 16, rows: 8 | 16];
    };

/** The variant that runs on every device. */
export function plainVariant(columns: number): MatmulVariant {
  return { style: 'plain', lanes: lanesFor(columns) };
}
