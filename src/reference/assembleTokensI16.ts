import { saturatingAdd16 } from './fixedPoint.ts';

/** Reference of `assemble_tokens_i16.wgsl` on values: x `[images][rows][features]`, tokens `[prefixRows + rows][features]`. */
export function assembleTokensI16Reference(x: Int16Array, tokens: Int16Array, images: number): Int16Array<ArrayBuffer> {
  const body = x.length / images;
  const prefix = tokens.length - body;
  const y = new Int16Array(images * tokens.length);
  for (let image = 0; image < images; image++) {
    tokens.forEach((token, i) => {
      const patch = i < prefix ? 0 : (x[image * body + i - prefix] as number);
      y[image * tokens.length + i] = saturatingAdd16(token, patch);
    });
  }
  return y;
}
