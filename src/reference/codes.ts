/** Rounds half to even: the rule of WGSL `round` and `torch.round`, not of `Math.round`. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Packs codes `[matrices][rows][depth]`, four a word along the depth, as `[matrices][rows][words]`; padding is 0. */
export function packRowMajor(codes: ArrayLike<number>, rows: number, depth: number): Uint32Array {
  const words = Math.ceil(depth / 4);
  const packed = new Uint32Array((codes.length / depth) * words);
  for (let i = 0; i < codes.length; i++) {
    const row = Math.floor(i / depth);
    const d = i % depth;
    const at = row * words + Math.floor(d / 4);
    packed[at] = ((packed[at] as number) | (((codes[i] as number) & 0xff) << (8 * (d % 4)))) >>> 0;
  }
  return packed;
}

/** Packs codes `[matrices][rows][depth]`, four a word along the depth, as `[matrices][words][rows]`; padding is 0. */
export function packDepthMajor(codes: ArrayLike<number>, rows: number, depth: number): Uint32Array {
  const words = Math.ceil(depth / 4);
  const packed = new Uint32Array((codes.length / depth) * words);
  for (let i = 0; i < codes.length; i++) {
    const matrix = Math.floor(i / (rows * depth));
    const row = Math.floor(i / depth) % rows;
    const d = i % depth;
    const at = (matrix * words + Math.floor(d / 4)) * rows + row;
    packed[at] = ((packed[at] as number) | (((codes[i] as number) & 0xff) << (8 * (d % 4)))) >>> 0;
  }
  return packed;
}

/** The signed codes `[rows][depth]` that `packRowMajor` packed. */
export function unpackRowMajor(packed: Uint32Array, rows: number, depth: number): Int8Array<ArrayBuffer> {
  const words = Math.ceil(depth / 4);
  const codes = new Int8Array(rows * depth);
  for (let row = 0; row < rows; row++) {
    for (let d = 0; d < depth; d++) codes[row * depth + d] = codeByte(packed, row * words, 1, d);
  }
  return codes;
}

/** What the integer behind one byte of operand A is. */
export interface Decoding {
  readonly kind: 'uniform' | 'twin-softmax' | 'twin-gelu';
  readonly bits: number;
  readonly shift: number;
}

/** The integer that a byte stands for. */
export function decodeCode(byte: number, { kind, bits, shift }: Decoding): number {
  if (kind === 'uniform') return byte >= 128 ? byte - 256 : byte;
  const flag = 1 << (bits - 1);
  const magnitude = byte % flag;
  const coarse = Math.floor(byte / flag) % 2 === 1;
  if (coarse) return magnitude * (1 << shift);
  return kind === 'twin-softmax' ? magnitude : -magnitude;
}

/** Byte `depth` of row-major or depth-major words that begin at `first`, `step` words apart. */
export function codeByte(words: Uint32Array, first: number, step: number, depth: number): number {
  return ((words[first + Math.floor(depth / 4) * step] as number) >>> (8 * (depth % 4))) & 0xff;
}
