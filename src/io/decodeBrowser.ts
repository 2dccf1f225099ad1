/** Decoding in a browser or a worker of one, by its own decoders. */
import { FormatError } from './errors.ts';
import { isWholeJpeg, withoutExif } from './exif.ts';
import { imageFormat, keepRgb, type DecodedImage } from './images.ts';

/**
 * One JPEG, PNG or WebP file as 8-bit RGB, as in decodeNode.ts: no colour management, no EXIF rotation, grey replicated,
 * alpha dropped, the first frame of an animation. Chromium 156 gives the bytes of Pillow for every kind of file of the
 * tests; other browsers may sample JPEG chroma in their own way.
 *
 * Throws FormatError naming `file` when the bytes are no such image, damaged or cut short; Error when the browser offers
 * no WebGL 2 and the image has transparent pixels (a 2-D canvas would lose their colours).
 */
export async function decodeImage(bytes: Uint8Array, file: string): Promise<DecodedImage> {
  const format = imageFormat(bytes, file);
  if (format === 'jpeg' && !isWholeJpeg(bytes)) {
    throw new FormatError(`${file}: the image cannot be decoded (premature end of JPEG image). Replace or remove it.`);
  }
  const bitmap = await createImageBitmap(new Blob([withoutExif(bytes, format)], { type: `image/${format}` }), {
    colorSpaceConversion: 'none',
    imageOrientation: 'none',
    premultiplyAlpha: 'none',
  }).catch((cause: unknown) => {
    const reason = (cause as Error).message;
    throw new FormatError(`${file}: the image cannot be decoded (${reason}). Replace or remove it.`, { cause });
  });
  try {
    const { width, height } = bitmap;
    const rgba = readOpaque(bitmap) ?? readTransparent(bitmap, file);
    return { width, height, data: keepRgb(rgba, 4) };
  } finally {
    bitmap.close();
  }
}

/** The pixels through a 2-D canvas; undefined when one is not opaque, because a canvas stores colours times alpha. */
function readOpaque(bitmap: ImageBitmap): Uint8Array | undefined {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
  if (context === null) return undefined;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) return undefined;
  return new Uint8Array(data.buffer);
}

/** The pixels through a texture, which takes colours and alpha as the bitmap holds them. */
function readTransparent(bitmap: ImageBitmap, file: string): Uint8Array {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  const largest = gl === null ? 0 : (gl.getParameter(gl.MAX_TEXTURE_SIZE) as number);
  if (gl === null || width > largest || height > largest) {
    throw new Error(
      `${file}: ${width} x ${height} transparent pixels cannot be read here (largest WebGL 2 texture: ${largest}). Remove the transparency or use another browser.`,
    );
  }
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const rgba = new Uint8Array(width * height * 4);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
    return rgba;
  } finally {
    gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}
