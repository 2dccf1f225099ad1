import { expect, test } from 'vitest';
import { chunkPatches } from '../../src/calibrate/imageChunks.ts';
import { referenceEngine } from '../../src/infer/referenceEngine.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { createFloatRunner } from '../../src/simulate/simulate.ts';
import { nmse, useGpu } from '../support/device.ts';
import { doubleForward } from '../support/doubleForward.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { PADDED_SWIN, POOLED_VIT } from '../support/randomModel.ts';

const shared = useGpu();

async function both(config: ModelConfig) {
  const { model, integer, pixels, count } = await exportedNetwork(config);
  const rgb = pixels.subarray(0, pixels.length / count);
  const runner = await createFloatRunner(shared.gpu, model);
  const float = await runner.attention(rgb);
  runner.destroy();
  return { model, rgb, float, integers: referenceEngine(integer).attention(rgb) };
}

test('where the first token looks, in float and in integers', async () => {
  const { model, rgb, float, integers } = await both(POOLED_VIT);
  const softmax = model.network.units.flatMap(({ operations }) => operations).find(({ kind }) => kind === 'softmax');
  if (softmax?.kind !== 'softmax') throw new Error('a block has a softmax');
  const { rows, columns, output } = softmax;
  let probabilities = new Float64Array();
  doubleForward(
    model,
    chunkPatches([{ file: 'noise', sha256: '', rgb }], model),
    undefined,
    (_unit, tensor, values) => {
      if (tensor === output) probabilities = Float64Array.from(values);
    },
  );
  const expected = Array.from({ length: rows / columns }, (_, head) =>
    probabilities.subarray(head * columns ** 2, head * columns ** 2 + columns),
  );
  expect(expected).toHaveLength(2);
  expect([...float.keys()]).toEqual(['blocks.0']);
  expect([...integers.keys()]).toEqual(['blocks.0']);
  for (const [found, bound] of [
    [float, 1e-8],
    [integers, 1e-2],
  ] as const) {
    const heads = found.get('blocks.0') ?? [];
    expect(heads.map(({ length }) => length)).toEqual([columns, columns]);
    heads.forEach((head, i) => expect(nmse(head, expected[i]!)).toBeLessThan(bound));
  }
});

test('attention that is cut into windows is left out', async () => {
  const { float, integers } = await both(PADDED_SWIN);
  expect([...float.keys(), ...integers.keys()]).toEqual([]);
});
