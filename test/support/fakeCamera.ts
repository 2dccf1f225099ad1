import { writeFileSync } from 'node:fs';
import sharp from 'sharp';

const SIDE = 256;

/** Writes a square film of the picture that Chromium takes for a camera, and gives the flags for that. */
export async function fakeCamera(picture: string, film: string): Promise<string[]> {
  const rgb = await sharp(picture).resize(SIDE, SIDE).removeAlpha().raw().toBuffer();
  const luma = Buffer.alloc(SIDE * SIDE);
  const [blue, red] = [Buffer.alloc((SIDE / 2) ** 2), Buffer.alloc((SIDE / 2) ** 2)];
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [r, g, b] = [0, 1, 2].map((k) => rgb[3 * (y * SIDE + x) + k] as number) as [number, number, number];
      luma[y * SIDE + x] = 16 + 0.257 * r + 0.504 * g + 0.098 * b; // BT.601, limited range
      const quarter = (y >> 1) * (SIDE / 2) + (x >> 1);
      blue[quarter] = 128 - 0.148 * r - 0.291 * g + 0.439 * b;
      red[quarter] = 128 + 0.439 * r - 0.368 * g - 0.071 * b;
    }
  }
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, blue, red]);
  writeFileSync(film, Buffer.concat([Buffer.from(`YUV4MPEG2 W${SIDE} H${SIDE} F10:1 Ip A1:1\n`), frame, frame]));
  return ['--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${film}`];
}
