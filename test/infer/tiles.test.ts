import { expect, test } from 'vitest';
import { chooseTiles, type ProductShape, type TileCache } from '../../src/infer/tiles.ts';
import { checkTile, timeTile } from '../../src/infer/tileTrial.ts';
import { matmulVariants, plainVariant, type MatmulVariant } from '../../src/kernels/matmulVariant.ts';
import { useGpu } from '../support/device.ts';

const shared = useGpu();

const shapes: readonly ProductShape[] = [
  { images: 2, heads: 1, rows: 197, depth: 192, columns: 192, aKind: 'uniform', outputType: 'int16' },
  { images: 2, heads: 3, rows: 197, depth: 197, columns: 64, aKind: 'twin-softmax', outputType: 'codes' },
  { images: 1, heads: 1, rows: 1, depth: 192, columns: 1000, aKind: 'uniform', outputType: 'int32' },
];
const [first] = shapes as [ProductShape, ...ProductShape[]];

/** A cache in memory that tells what it was asked. */
function memory(): TileCache & { readonly entries: Map<string, string> } {
  const entries = new Map<string, string>();
  return {
    entries,
    get: (key) => Promise.resolve(entries.get(key)),
    set: (key, value) => Promise.resolve(void entries.set(key, value)),
  };
}

/** A clock by which `style` is the fastest, and that counts how often it was asked. */
function clock(style: MatmulVariant['style']) {
  let asked = 0;
  const time = (_device: GPUDevice, variant: MatmulVariant) => {
    asked++;
    return Promise.resolve(variant.style === style ? 1 : 2);
  };
  return { time, asked: () => asked };
}

test.each(['uniform', 'twin-softmax', 'twin-gelu'] as const)(
  'every variant passes its check with %s codes',
  async (kind) => {
    for (const variant of matmulVariants(shared.device)) {
      for (const type of ['codes', 'int32'] as const) {
        expect(await checkTile(shared.device, variant, kind, type), JSON.stringify([variant, type])).toBe(true);
      }
    }
  },
);

test('a variant that the device runs wrongly fails its check', async () => {
  // A subgroup of four is shown as one of eight to a kernel that shares among eight; where subgroups are wider, it is right.
  const { adapterInfo } = shared.device;
  const device = new Proxy(shared.device, {
    get(target, name) {
      if (name === 'adapterInfo') return { ...adapterInfo, subgroupMinSize: 8 };
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value as (...given: unknown[]) => unknown).bind(target) : value;
    },
  });
  const variant = { style: 'subgroups', lanes: 16, rows: 16, share: 8 } as const;
  expect(await checkTile(device, variant, 'uniform', 'int32')).toBe(adapterInfo.subgroupMaxSize >= 8);
});

test('a measured trial chooses only what the device can run', async () => {
  let spent = 0;
  const choice = await chooseTiles(shared.device, shapes, {
    cache: memory(),
    time: async (...given) => {
      const ms = await timeTile(...given);
      expect(ms).toBeGreaterThan(0);
      spent += ms;
      return ms;
    },
  });
  for (const shape of shapes) expect(matmulVariants(shared.device)).toContainEqual(choice.variantFor(shape));
  expect(spent).toBeGreaterThan(0);
});

test('takes the fastest, remembers it, and measures nothing the second time', async () => {
  const cache = memory();
  const { time, asked } = clock('subgroups');
  const choice = await chooseTiles(shared.device, shapes, { cache, time });
  for (const shape of shapes) expect(choice.variantFor(shape).style).toBe('subgroups');
  expect(choice.variantFor({ ...first, images: 64 }).style).toBe('subgroups'); // whatever the batch
  expect(choice.variantFor({ ...first, depth: 5 })).toEqual(plainVariant(first.columns));
  expect(cache.entries.size).toBe(3);
  const before = asked();
  expect(before).toBeGreaterThan(3);
  const again = await chooseTiles(shared.device, shapes, { cache, time: clock('plain').time });
  for (const shape of shapes) expect(again.variantFor(shape)).toEqual(choice.variantFor(shape));
  expect(asked()).toBe(before);
});

test('a wrong variant is reported and not used, remembered or not', async () => {
  const cache = memory();
  const wrong: MatmulVariant[] = [];
  const options = {
    cache,
    time: clock('subgroups').time,
    onWrong: (variant: MatmulVariant) => void wrong.push(variant),
    check: (_device: GPUDevice, { style }: MatmulVariant) => Promise.resolve(style === 'plain'),
  };
  for (let i = 1; i <= 2; i++) {
    const choice = await chooseTiles(shared.device, [first], options);
    expect(choice.variantFor(first).style).toBe('plain');
    expect(wrong.length).toBeGreaterThan(0);
    expect(wrong.every(({ style }) => style === 'subgroups')).toBe(true);
  }
});

test('a remembered text that names no variant of this device is measured anew', async () => {
  const cache = memory();
  const { time, asked } = clock('plain');
  const get = () => Promise.resolve('{"style":"subgroups","lanes":3}');
  const choice = await chooseTiles(shared.device, [first], { cache: { ...cache, get }, time });
  expect(choice.variantFor(first).style).toBe('plain');
  expect(asked()).toBeGreaterThan(1);
});

test('a turn that other load made slow does not decide', async () => {
  const timed = new Set<MatmulVariant>();
  const time = (_device: GPUDevice, variant: MatmulVariant) => {
    const ms = variant.style === 'subgroups' ? (timed.has(variant) ? 1 : 100) : 2;
    timed.add(variant);
    return Promise.resolve(ms);
  };
  const choice = await chooseTiles(shared.device, [first], { cache: memory(), time });
  expect(choice.variantFor(first).style).toBe('subgroups');
});

test('twin codes have a trial of their own', async () => {
  const time = (_device: GPUDevice, variant: MatmulVariant, _sizes: unknown, kind: string) =>
    Promise.resolve((variant.style === 'subgroups') === (kind === 'uniform') ? 1 : 2);
  const twin = { ...first, aKind: 'twin-gelu', rows: first.rows + 1 } as const;
  const choice = await chooseTiles(shared.device, [first, twin], { cache: memory(), time });
  expect(choice.variantFor(first).style).toBe('subgroups');
  expect(choice.variantFor(twin).style).toBe('plain');
});
