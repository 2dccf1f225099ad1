import { roundHalfEven } from './codes.ts';

export interface FakeQuantizeShape {
  readonly kind: 'uniform' | 'published-softmax' | 'signed-ranges' | 'per-token';
  readonly low: number;
  readonly high: number;
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
  readonly rowGroups: number;
  readonly depthGroups: number;
  readonly groupPerHead: 0 | 1;
}

const { fround } = Math;

/** Reference of `fake_quantize.wgsl`: f32 `[candidates][images * heads][rows][depth]`; rows find their largest magnitude themselves. */
export function fakeQuantizeReference(
  source: Float32Array,
  table: Float32Array,
  shape: FakeQuantizeShape,
): Float32Array {
  const { candidates, images, heads, rows, depth, rowGroups, depthGroups, groupPerHead } = shape;
  const perHead = rowGroups * depthGroups;
  const groups = (groupPerHead ? heads : 1) * perHead;
  const values: number[] = [];
  for (let candidate = 0; candidate < candidates; candidate++) {
    for (let batch = 0; batch < images * heads; batch++) {
      const head = batch % heads;
      for (let row = 0; row < rows; row++) {
        const first = shape.offset + Math.floor(batch / heads) * shape.imageStride + head * shape.headStride;
        const elements = Array.from({ length: depth }, (_, d) => {
          return source[first + row * shape.rowStride + d * shape.depthStride] as number;
        });
        const largest = elements.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        elements.forEach((x, d) => {
          const run = Math.floor((row * rowGroups) / rows) * depthGroups + Math.floor((d * depthGroups) / depth);
          const at = 4 * (candidate * groups + (groupPerHead ? head * perHead : 0) + run);
          values.push(fakeQuantizedValue(x, table.subarray(at, at + 4), shape, largest));
        });
      }
    }
  }
  return Float32Array.from(values);
}

/** The value of the code of x, with f32 operations in the order of the shader. */
export function fakeQuantizedValue(
  x: number,
  table: Float32Array,
  { kind, low, high }: Pick<FakeQuantizeShape, 'kind' | 'low' | 'high'>,
  largest = 0,
): number {
  const [first, second, third, fourth] = table as unknown as [number, number, number, number];
  const code = (steps: number, from: number, to: number) => clamp(roundHalfEven(steps), from, to);
  switch (kind) {
    case 'uniform':
      return fround(first * (clamp(roundHalfEven(fround(x * second)) + third, low, high) - third));
    case 'published-softmax': {
      const coarse = fround(fourth * code(fround(clamp(x, third, 1) * high), 0, high));
      return fround(coarse + fround(first * code(fround(clamp(x, 0, third) * second), 0, high)));
    }
    case 'signed-ranges':
      return fround(
        fround(first * code(fround(x * second), 0, high)) + fround(third * code(fround(x * fourth), low, 0)),
      );
    case 'per-token':
      if (largest === 0) return 0;
      return fround(fround(second * largest) * code(fround(x * fround(first / largest)), low, high));
  }
}

function clamp(x: number, low: number, high: number): number {
  return Math.max(low, Math.min(x, high));
}
