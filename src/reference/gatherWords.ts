/** Index of a row of `fill`. */
const NONE = 0xffffffff;

/** Reference of `gather_words.wgsl`: source `[images][source rows][words]`, one row of y for each index. */
export function gatherWordsReference(
  source: Uint32Array,
  indices: Uint32Array,
  { images, words, fill, lastFill }: { images: number; words: number; fill: number; lastFill: number },
): Uint32Array<ArrayBuffer> {
  const perImage = source.length / images;
  const y = new Uint32Array(images * indices.length * words);
  for (let image = 0; image < images; image++) {
    indices.forEach((index, i) => {
      const target = y.subarray((image * indices.length + i) * words).subarray(0, words);
      const first = image * perImage + index * words;
      if (index !== NONE) target.set(source.subarray(first, first + words));
      else target.fill(fill).fill(lastFill, words - 1);
    });
  }
  return y;
}
