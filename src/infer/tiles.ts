import type { CodeKind } from '../kernels/codes.ts';
import { plainVariant, type MatmulVariant } from '../kernels/matmulVariant.ts';
import type { RequantizedType } from '../kernels/requantizedLayout.ts';

/** A product of a program, as far as its best tile depends on it. */
export interface ProductShape {
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly aKind: CodeKind;
  readonly outputType: RequantizedType;
}

/** Which tile each product of a program takes. Results do not depend on it. */
export interface TileChoice {
  /** For one of the shapes that the choice was made for, else the plain variant. */
  variantFor(shape: ProductShape): MatmulVariant;
}

/** Remembers choices between sessions: text under a key that names the adapter, its driver and the shape. */
export interface TileCache {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string): Promise<void>;
}

export interface TileOptions {
  /** Default: a memory of this device's. */
  readonly cache?: TileCache;
  /** Told of every variant that gave other words than the reference, which is then not used. */
  readonly onWrong?: (variant: MatmulVariant) => void;
}

/**
 * Chooses a tile for each of `shapes` on `device`, every distinct one once.
 */
export async function chooseTiles(
  _device: GPUDevice,
  _shapes: readonly ProductShape[],
  _options: TileOptions = {},
): Promise<TileChoice> {
  return Promise.resolve({ variantFor: ({ columns }) => plainVariant(columns) });
}
