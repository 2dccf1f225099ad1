import { expect } from 'vitest';
import type { IntegerModel } from '../../src/format/model.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import type { BufferPool } from '../../src/gpu/buffers.ts';
import { createReferenceEngine } from '../../src/infer/referenceEngine.ts';
import { createSession } from '../../src/infer/session.ts';
import { deviceTrace } from './deviceTrace.ts';

/** Every word of every tensor of every image is the engine's, padding included, and so are the session's logits. */
export const bitsOn =
  (shared: { readonly device: GPUDevice; readonly pool: BufferPool }) =>
  async (model: IntegerModel, pixels: Uint8Array, images: number): Promise<void> => {
    const bytes = writeModelFile(model);
    const engine = createReferenceEngine(bytes, 'model');
    const size = pixels.length / images;
    const traced = await deviceTrace(shared.pool, model, pixels, images);
    for (let image = 0; image < images; image++) {
      const expected = engine.trace(pixels.slice(image * size, (image + 1) * size));
      for (const [name, words] of expected) {
        if (name === model.program.input) continue;
        const found = traced.get(name)?.subarray(image * words.length, (image + 1) * words.length) as Uint32Array;
        const at = words.findIndex((word, i) => word !== found[i]);
        expect(at, `${name} of image ${image}, word ${at}: ${found[at]} instead of ${words[at]}`).toBe(-1);
      }
    }
    const session = await createSession(shared.device, bytes, { tiles: 'plain' });
    expect(await session.run(pixels, images)).toEqual(await engine.run(pixels, images));
    session.destroy();
  };
