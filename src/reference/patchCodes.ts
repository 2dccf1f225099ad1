/** Reference of `patch_codes.wgsl`: int8 `[images][patches][3 * patchSize^2]` of uint8 `[images][height][width][3]`. */
export function patchCodesReference(
  pixels: Uint8Array,
  { images, height, width, patchSize }: Readonly<Record<'images' | 'height' | 'width' | 'patchSize', number>>,
): Int8Array<ArrayBuffer> {
  const codes = new Int8Array(images * height * width * 3);
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (let top = 0; top < height; top += patchSize) {
      for (let left = 0; left < width; left += patchSize) {
        for (let channel = 0; channel < 3; channel++) {
          for (let y = top; y < top + patchSize; y++) {
            for (let x = left; x < left + patchSize; x++) {
              codes[at++] = (pixels[((image * height + y) * width + x) * 3 + channel] as number) - 128;
            }
          }
        }
      }
    }
  }
  return codes;
}
