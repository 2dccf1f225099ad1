import { join } from 'node:path';
import { describe, test } from 'vitest';
import { ParameterStore } from '../../src/model/execute.ts';
import { compareGolden } from '../support/compareGolden.ts';
import { dataDirectory } from '../support/data.ts';
import { useGpu } from '../support/device.ts';
import { sharedModel } from '../support/goldenModel.ts';

const shared = useGpu();

const data = dataDirectory();
if (data !== undefined) {
  describe('Swins of the shared data, by timm 0.5.4', () => {
    test.each([
      [
        'swin-mini-224',
        [
          ...['layers.0.blocks.1', 'layers.1.blocks.0.attn.qkv', 'layers.1.blocks.1', 'layers.2.blocks.1.mlp.fc1'],
          ...['layers.2.downsample.reduction', 'layers.3.blocks.1'],
        ],
      ],
      ['swin-mini-96-w6', ['layers.0.blocks.1', 'layers.1.blocks.1.attn.proj', 'layers.3.blocks.0']],
    ])('%s', async (name, modules) => {
      const golden = await sharedModel(join(data, 'golden-models', name), 'golden.safetensors');
      const { device, pool } = shared;
      using parameters = new ParameterStore(pool, golden.model);
      await compareGolden({ device, pool, parameters }, golden, name, modules);
    });
  });
}
