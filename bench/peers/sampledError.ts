/** The largest error of a float product at 256 places of its first matrix, as a share of the largest value there. */
export function sampledError(
  a: Float32Array,
  b: Float32Array,
  { rows, depth, columns }: Readonly<Record<'rows' | 'depth' | 'columns', number>>,
): (product: Float32Array) => number {
  const places = Array.from({ length: 256 }, (_, i) => Math.floor((i / 255) * (rows * columns - 1)));
  const values = places.map((place) => {
    const [row, column] = [Math.floor(place / columns), place % columns];
    let sum = 0;
    for (let d = 0; d < depth; d++) sum += (a[row * depth + d] as number) * (b[d * columns + column] as number);
    return sum;
  });
  const largest = Math.max(...values.map(Math.abs));
  return (product) =>
    Math.max(...places.map((place, i) => Math.abs((product[place] as number) - (values[i] as number)) / largest));
}
