import { expect, test } from 'vitest';
import { matmulVariants } from '../../src/kernels/matmulVariant.ts';
import { useGpu } from '../support/device.ts';
import { expectVariants, requantizeCase, REQUANTIZE_CASES, runRequantize } from '../support/requantizeCase.ts';

const shared = useGpu();
const variants = () => matmulVariants(shared.device).filter(({ style }) => style === 'workgroup');

test.each(REQUANTIZE_CASES)(
  '$layout $rows x $depth x $columns: the words of the twin in every variant',
  async (shape) => {
    expect(variants().length).toBeGreaterThan(1);
    await expectVariants(shared, shape, variants());
  },
);

test('refuses, and does not list, what a device has no room for', async () => {
  const { params, data } = requantizeCase({ layout: 'int32', rows: 3, depth: 5, columns: 3 });
  const limits = {
    maxComputeInvocationsPerWorkgroup: 128,
    maxComputeWorkgroupSizeX: 128,
    maxComputeWorkgroupStorageSize: 16384,
  };
  const device = new Proxy(shared.device, {
    get: (target, name) => (name === 'limits' ? limits : (Reflect.get(target, name) as unknown)),
  });
  const variant = { style: 'workgroup', lanes: [16, 16] } as const;
  expect(matmulVariants(device)).not.toContainEqual(variant);
  await expect(runRequantize({ device, pool: shared.pool }, { ...params, variant }, data, 9)).rejects.toThrow(
    'cannot run workgroup 64x64: a workgroup holds at most 128 lanes',
  );
});
