/** Reference of `assemble_tokens_f32.wgsl`: `[prefix; x] + position` for every image. */
export function assembleTokensF32Reference(
  x: Float32Array,
  prefix: Float32Array,
  position: Float32Array,
  images: number,
): Float32Array {
  const perImage = x.length / images;
  const y: number[] = [];
  for (let image = 0; image < images; image++) {
    const tokens = [...prefix, ...x.subarray(image * perImage, (image + 1) * perImage)];
    for (const [i, token] of tokens.entries()) y.push(token + (position[i] as number));
  }
  return Float32Array.from(y);
}
