/** How a stage of `resolution`^2 tokens is cut into square windows for attention (Swin, sections 3.2 and 3.3). */
export interface Windows {
  readonly count: number;
  /** Of one window. */
  readonly tokens: number;
  /** Row of the stage for each token of each window, -1 for padding; null where the stage is one window as it lies. */
  readonly partition: Int32Array | null;
  /** Row of the windows for each token of the stage; null with `partition`. */
  readonly reverse: Int32Array | null;
  /** Region of each token of each window; null without a shift. */
  readonly mask: Int32Array | null;
}

/** Side of the windows of a stage: one that is no larger than `windowSize` is one window, and is not shifted. */
export function windowSide(resolution: number, windowSize: number): number {
  return Math.min(resolution, windowSize);
}

/**
 * Windows of a stage, padded to the right and below to whole windows and then shifted cyclically by half a window when
 * `shifted`, as Hugging Face does (timm 0.5.4 refuses sizes that windows do not divide).
 */
export function cutIntoWindows(resolution: number, windowSize: number, shifted: boolean): Windows {
  const side = windowSide(resolution, windowSize);
  const shift = shifted && resolution > windowSize ? Math.floor(side / 2) : 0;
  const perSide = Math.ceil(resolution / side);
  const [count, tokens] = [perSide ** 2, side ** 2];
  if (perSide === 1) return { count, tokens, partition: null, reverse: null, mask: null };
  const padded = perSide * side;
  const partition = new Int32Array(padded ** 2);
  const reverse = new Int32Array(resolution ** 2);
  const mask = new Int32Array(padded ** 2);
  /** Shifting brings tokens from the other side of the image into the last windows. */
  const region = (at: number) => (at < padded - side ? 0 : at < padded - shift ? 1 : 2);
  for (let i = 0; i < partition.length; i++) {
    const [window, token] = [Math.floor(i / tokens), i % tokens];
    const y = Math.floor(window / perSide) * side + Math.floor(token / side);
    const x = (window % perSide) * side + (token % side);
    const [fromY, fromX] = [(y + shift) % padded, (x + shift) % padded];
    const inside = fromY < resolution && fromX < resolution;
    partition[i] = inside ? fromY * resolution + fromX : -1;
    if (inside) reverse[fromY * resolution + fromX] = i;
    mask[i] = 3 * region(y) + region(x);
  }
  return { count, tokens, partition, reverse, mask: shift === 0 ? null : mask };
}

/** Row of the bias table `[(2 side - 1)^2]` for each pair of tokens `[side^2, side^2]`, by their offset. */
export function relativePositions(side: number): Int32Array {
  const tokens = side ** 2;
  return Int32Array.from({ length: tokens ** 2 }, (_, pair) => {
    const [i, j] = [Math.floor(pair / tokens), pair % tokens];
    const dy = Math.floor(i / side) - Math.floor(j / side) + side - 1;
    const dx = (i % side) - (j % side) + side - 1;
    return dy * (2 * side - 1) + dx;
  });
}

/** Rows of a stage in the order of patch merging: (0,0), (1,0), (0,1), (1,1) of each square of four, -1 beyond an odd side. */
export function mergedRows(resolution: number): Int32Array {
  const half = Math.ceil(resolution / 2);
  return Int32Array.from({ length: 4 * half ** 2 }, (_, i) => {
    const [merged, part] = [Math.floor(i / 4), i % 4];
    const y = 2 * Math.floor(merged / half) + (part % 2);
    const x = 2 * (merged % half) + Math.floor(part / 2);
    return y < resolution && x < resolution ? y * resolution + x : -1;
  });
}
