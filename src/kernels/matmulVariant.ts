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
      readonly lanes: 16 | 32;
      /** Rows of a tile. */
      readonly rows: 8 | 16;
      /** Lanes that load rows of A for each other. */
      readonly share: 4 | 8;
    }
  | {
      readonly style: 'workgroup';
      /** Lanes of a workgroup along columns and along rows; each has 4 rows and 4 columns. */
      readonly lanes: readonly [columns: 8 | 16, rows: 8 | 16];
    };

/** The variant that runs on every device. */
export function plainVariant(columns: number): MatmulVariant {
  return { style: 'plain', lanes: lanesFor(columns) };
}

/** Every variant that `device` can run, the plain ones first. */
export function matmulVariants(device: GPUDevice): MatmulVariant[] {
  return ALL.filter((variant) => refusal(device, variant) === undefined);
}

/** @throws RangeError when `device` cannot run `variant` */
export function checkVariant(device: GPUDevice, variant: MatmulVariant): void {
  const reason = refusal(device, variant);
  if (reason !== undefined) throw new RangeError(`this device cannot run ${describeVariant(variant)}: ${reason}`);
}

/** Rows and columns of the result that one workgroup makes. */
export function tileOf(variant: MatmulVariant): { readonly rows: number; readonly columns: number } {
  switch (variant.style) {
    case 'plain':
      return { rows: 8, columns: 4 * variant.lanes };
    case 'subgroups':
      return { rows: variant.rows, columns: 4 * variant.lanes };
    case 'workgroup':
      return { rows: 4 * variant.lanes[1], columns: 4 * variant.lanes[0] };
  }
}

/** A short name, such as `subgroups 16x128 by 8`. */
export function describeVariant(variant: MatmulVariant): string {
  const { rows, columns } = tileOf(variant);
  return `${variant.style} ${rows}x${columns}${variant.style === 'subgroups' ? ` by ${variant.share}` : ''}`;
}

const ALL: readonly MatmulVariant[] = [
  ...([16, 32] as const).map((lanes) => ({ style: 'plain', lanes }) as const),
  ...([16, 32] as const).map((lanes) => ({ style: 'subgroups', lanes, rows: 8, share: 4 }) as const),
  ...([16, 32] as const).map((lanes) => ({ style: 'subgroups', lanes, rows: 16, share: 4 }) as const),
  ...([16, 32] as const).map((lanes) => ({ style: 'subgroups', lanes, rows: 16, share: 8 }) as const),
  { style: 'workgroup', lanes: [8, 8] },
  { style: 'workgroup', lanes: [16, 16] },
];

/** Why `device` cannot run `variant`; undefined when it can. */
function refusal({ features, adapterInfo, limits }: GPUDevice, variant: MatmulVariant): string | undefined {
  const [x, y] = variant.style === 'workgroup' ? variant.lanes : [variant.lanes, 1];
  if (x * y > limits.maxComputeInvocationsPerWorkgroup || x > limits.maxComputeWorkgroupSizeX) {
    return `a workgroup holds at most ${limits.maxComputeInvocationsPerWorkgroup} lanes`;
  }
  if (variant.style === 'subgroups') {
    if (!features.has('subgroups')) return 'it has no subgroups';
    // a smaller subgroup would take rows that no lane of it has loaded
    const least = adapterInfo.subgroupMinSize;
    if (!(least >= variant.share)) return `its subgroups can have ${least} lanes`;
  }
  if (variant.style === 'workgroup') {
    const bytes = 8 * 4 * (8 * y + 4 * x); // tiles of A, split in two, and of B: 8 words of depth
    if (bytes > limits.maxComputeWorkgroupStorageSize) {
      return `it needs ${bytes} bytes of workgroup memory, there are ${limits.maxComputeWorkgroupStorageSize}`;
    }
  }
  return undefined;
}
