import { expect, test } from 'vitest';
import { assembleTokensF32 } from '../../src/kernels/assembleTokensF32.ts';
import { assembleTokensF32Reference } from '../../src/reference/assembleTokensF32.ts';
import { useGpu } from '../support/device.ts';
import { noise } from '../support/floats.ts';
import { runF32 } from '../support/runF32.ts';

const shared = useGpu();

test.each([
  [1, 1, 1, 1],
  [3, 4, 2, 5],
  [2, 255, 1, 3],
  [5, 3, 2, 257],
  [2, 196, 1, 192],
])(
  '%i images of %i rows behind %i prefix tokens of %i features, exactly',
  async (images, rows, prefixRows, features) => {
    const x = noise(images * rows * features, 1);
    const prefix = noise(prefixRows * features, 2);
    const position = noise((prefixRows + rows) * features, 3);
    const elements = images * (prefixRows + rows) * features;
    const y = await runF32(shared, { x, prefix, position }, elements, (buffers, output) =>
      assembleTokensF32(shared.device, { ...buffers, y: output }, { images, rows, prefixRows, features }),
    );
    expect(y).toEqual(assembleTokensF32Reference(x, prefix, position, images));
  },
);
