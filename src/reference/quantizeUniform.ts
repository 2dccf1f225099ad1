import { packDepthMajor, packRowMajor, roundHalfEven } from './codes.ts';

export interface QuantizeUniformShape {
  readonly bits: number;
  readonly layout: 'row-major' | 'depth-major';
  readonly candidates: number;
  readonly images: number;
  readonly heads: number;
  readonly rows: number;
  readonly depth: number;
  readonly offset: number;
  readonly imageStride: number;
  readonly headStride: number;
  readonly rowStride: number;
  readonly depthStride: number;
  readonly groupsPerCandidate: number;
  readonly groupPerHead: 0 | 1;
  readonly rowsPerGroup: number;
  readonly restricted?: boolean;
  readonly zero?: number | undefined;
}

/** What differs from codes -q..q - 1 with 0 for the value 0. */
export interface CodeOffset {
  readonly restricted?: boolean;
  readonly zero?: number | undefined;
}

/** Code of one value: `clamp(round(f32(x * inverse)) + zero, -q, q - 1)`, q = 2^(bits - 1), ties to even; restricted: from 1 - q on. */
export function uniformCode(x: number, inverse: number, bits: number, offset: CodeOffset = {}): number {
  const { restricted = false, zero = 0 } = offset;
  const q = 2 ** (bits - 1);
  const low = restricted ? 1 - q : -q;
  return Math.min(Math.max(roundHalfEven(Math.fround(x * inverse)) + zero, low), q - 1) + 0; // -0 + 0 is 0
}

/** Reference of `quantize_uniform.wgsl`: the packed words of all candidates. */
export function quantizeUniformReference(
  source: Float32Array,
  inverseScales: Float32Array,
  shape: QuantizeUniformShape,
): Uint32Array {
  const { bits, candidates, images, heads, rows, depth, groupsPerCandidate, groupPerHead, rowsPerGroup } = shape;
  const groupsPerHead = rowsPerGroup === 0 ? 1 : Math.ceil(rows / rowsPerGroup);
  const codes: number[] = [];
  for (let candidate = 0; candidate < candidates; candidate++) {
    for (let image = 0; image < images; image++) {
      for (let head = 0; head < heads; head++) {
        for (let row = 0; row < rows; row++) {
          const rowGroup = rowsPerGroup === 0 ? 0 : Math.floor(row / rowsPerGroup);
          const group = (groupPerHead === 1 ? head * groupsPerHead : 0) + rowGroup;
          const inverse = inverseScales[candidate * groupsPerCandidate + group] as number;
          for (let d = 0; d < depth; d++) {
            const at = shape.offset + image * shape.imageStride + head * shape.headStride;
            const x = source[at + row * shape.rowStride + d * shape.depthStride] as number;
            codes.push(uniformCode(x, inverse, bits, shape));
          }
        }
      }
    }
  }
  if (shape.layout === 'depth-major') return packDepthMajor(codes, rows, depth);
  const packed = packRowMajor(codes, rows, depth);
  const { zero } = shape;
  return zero === undefined ? packed : withOffsets(packed, -zero, depth);
}

/** Every row of packed codes followed by a row of `code`. */
function withOffsets(packed: Uint32Array, code: number, depth: number): Uint32Array {
  const words = Math.ceil(depth / 4);
  const row = packRowMajor(new Array<number>(depth).fill(code), 1, depth);
  const both = new Uint32Array(2 * packed.length);
  for (let first = 0; first < packed.length; first += words) {
    both.set(packed.subarray(first, first + words), 2 * first);
    both.set(row, 2 * first + words);
  }
  return both;
}
