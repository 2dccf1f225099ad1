import { expect, test } from 'vitest';
import { matmulVariants } from '../../src/kernels/matmulVariant.ts';
import { useGpu } from '../support/device.ts';
import { expectVariants, requantizeCase, REQUANTIZE_CASES, runRequantize } from '../support/requantizeCase.ts';

const shared = useGpu();
const variants = () => matmulVariants(shared.device).filter(({ style }) => style === 'subgroups');

test.each(REQUANTIZE_CASES)(
  '$layout $rows x $depth x $columns: the words of the twin in every variant',
  async (shape) => {
    expect(variants().length).toBeGreaterThan(1);
    await expectVariants(shared, shape, variants());
  },
);

test('refuses, and does not list, what the subgroups of a device are too small for', async () => {
  const { params, data } = requantizeCase({ layout: 'int32', rows: 3, depth: 5, columns: 3 });
  const adapterInfo = { ...shared.device.adapterInfo, subgroupMinSize: 4 };
  const device = new Proxy(shared.device, {
    get: (target, name) => (name === 'adapterInfo' ? adapterInfo : (Reflect.get(target, name) as unknown)),
  });
  const listed = matmulVariants(device).flatMap((variant) => (variant.style === 'subgroups' ? [variant.share] : []));
  expect(new Set(listed)).toEqual(new Set([4]));
  const variant = { style: 'subgroups', lanes: 32, rows: 16, share: 8 } as const;
  await expect(runRequantize({ device, pool: shared.pool }, { ...params, variant }, data, 9)).rejects.toThrow(
    'cannot run subgroups 16x128 by 8: its subgroups can have 4 lanes',
  );
  const without = { features: new Set(), adapterInfo, limits: shared.device.limits } as unknown as GPUDevice;
  expect(matmulVariants(without).filter(({ style }) => style === 'subgroups')).toEqual([]);
});
