import { expect, test } from 'vitest';
import { patchCodes, type PatchCodesShape } from '../../src/kernels/patchCodes.ts';
import { packRowMajor } from '../../src/reference/codes.ts';
import { patchCodesReference } from '../../src/reference/patchCodes.ts';
import { expectSame, random, runInto, uploadInJunk } from '../support/codes.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

async function run(bytes: Uint8Array, shape: PatchCodesShape, words: number): Promise<Uint32Array> {
  const padded = new Uint8Array(4 * Math.ceil(bytes.length / 4)).fill(0xa5);
  padded.set(bytes);
  const pixels = uploadInJunk(shared.pool, new Uint32Array(padded.buffer), 'pixels');
  try {
    const codes = await runInto(shared.pool, words, async (out) => [
      await patchCodes(shared.device, { pixels, codes: out }, shape),
    ]);
    return new Uint32Array(codes);
  } finally {
    shared.pool.release(pixels);
  }
}

test.each([
  [1, 1, 1, 1],
  [3, 3, 5, 1],
  [2, 4, 6, 2],
  [3, 9, 3, 3],
  [1, 5, 255, 5],
  [3, 7, 7, 7],
  [2, 224, 224, 16],
  [1, 28, 56, 14],
])('%i images of %i x %i in patches of %i', async (images, height, width, patchSize) => {
  const next = random(images * height);
  const pixels = Uint8Array.from({ length: images * height * width * 3 }, () => Math.floor(256 * next()));
  const shape = { images, height, width, patchSize };
  const depth = 3 * patchSize ** 2;
  const expected = packRowMajor(patchCodesReference(pixels, shape), pixels.length / depth, depth);
  expectSame(await run(pixels, shape, expected.length), expected);
});

test('refuses what it cannot do, with the number', async () => {
  const shape = { images: 1, height: 4, width: 6, patchSize: 2 };
  await expect(run(new Uint8Array(72), { ...shape, patchSize: 4 }, 18)).rejects.toThrow(
    '6 x 4 is no multiple of its patches of 4',
  );
  await expect(run(new Uint8Array(72), { ...shape, images: 3 }, 60)).rejects.toThrow('pixels needs 216 bytes');
  await expect(run(new Uint8Array(72), { ...shape, width: 0 }, 18)).rejects.toThrow('width must be a positive integer');
});
