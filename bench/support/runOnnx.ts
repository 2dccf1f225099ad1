import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Model } from '../../src/model/load.ts';

/** Logits of an ONNX file by ONNX Runtime, f32 `[images][classes]`, of normalised pixels `[images][3][size][size]`. */
export async function runOnnx(file: Uint8Array, { config }: Model, pixels: Float32Array): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  try {
    const { imageSize } = config;
    const input = new Tensor('float32', pixels, [pixels.length / (3 * imageSize ** 2), 3, imageSize, imageSize]);
    const { logits } = await session.run({ pixel_values: input });
    if (!logits) throw new Error('the ONNX model has no output called logits');
    return logits.data as Float32Array;
  } finally {
    await session.release();
  }
}
