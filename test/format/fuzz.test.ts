import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../src/format/readModelFile.ts';
import { writeModelFile } from '../../src/format/writeModelFile.ts';
import { FormatError } from '../../src/io/errors.ts';
import { countAllocations } from '../support/countAllocations.ts';
import { editModelFile, setAt } from '../support/editModelFile.ts';
import { exportedNetwork } from '../support/exportedModel.ts';
import { PADDED_SWIN } from '../support/randomModel.ts';
import { tinyIntegerModel } from '../support/tinyIntegerModel.ts';

/** 5 x 5 tokens in padded windows, one of its two blocks shifted. */
const SMALL_SWIN = { ...PADDED_SWIN, imageSize: 20, embedDim: 8, depths: [2], heads: [2], hiddenRatio: 1 };

const files = [
  writeModelFile(tinyIntegerModel(1, { depth: 1, weightBits: 2 })),
  writeModelFile(tinyIntegerModel(2, { depth: 1, softmax: 'poly', gelu: 'lut-codes' })),
  writeModelFile((await exportedNetwork(SMALL_SWIN, { count: 1 })).integer),
];
/** 2-bit weights become a byte each; 8-bit ones are copied twice on the way. */
const MOST_BYTES = 5;

/** Reads `bytes`: a model, which can be written and read again, or a FormatError, and never much memory. */
function survives(bytes: Uint8Array): 'read' | 'refused' {
  const { bytes: allocated, error } = countAllocations(() => readModelFile(bytes, 'm'));
  expect(allocated).toBeLessThanOrEqual(MOST_BYTES * bytes.length);
  if (error !== undefined) {
    expect(error).toBeInstanceOf(FormatError);
    return 'refused';
  }
  const model = readModelFile(bytes, 'm');
  expect(readModelFile(writeModelFile(model), 'm')).toStrictEqual(model);
  return 'read';
}

/** Runs `survives` over generated files; both outcomes, or refusals alone, must come up. */
function fuzz(bytes: fc.Arbitrary<Uint8Array>, seed: number, numRuns: number): Record<string, number> {
  const outcomes = { read: 0, refused: 0 };
  fc.assert(
    fc.property(bytes, (file) => {
      outcomes[survives(file)]++;
    }),
    { seed, numRuns },
  );
  return outcomes;
}

const anyFile = fc.constantFrom(...files);

test('what is allocated is counted', () => {
  for (const file of files) {
    const { bytes, error } = countAllocations(() => readModelFile(file, 'm'));
    expect(error).toBeUndefined();
    expect(bytes).toBeGreaterThan(0.3 * file.length); // the rest is header
  }
});

describe('any damage is survived', () => {
  test('truncation', () => {
    const cut = anyFile.chain((file) => fc.nat(file.length - 1).map((length) => file.subarray(0, length)));
    expect(fuzz(cut, 1, 300)['read']).toBe(0);
  });

  test('bytes after the end', () => {
    const longer = fc
      .tuple(anyFile, fc.uint8Array({ minLength: 1, maxLength: 16 }))
      .map(([file, more]) => Uint8Array.of(...file, ...more));
    expect(fuzz(longer, 2, 50)['read']).toBe(0);
  });

  const flipped = (least: number, most: (file: Uint8Array) => number) =>
    anyFile.chain((file) =>
      fc
        .array(fc.tuple(fc.integer({ min: least, max: most(file) }), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 3,
        })
        .map((flips) => {
          const bytes = Uint8Array.from(file);
          for (const [at, mask] of flips) bytes[at] = (bytes[at] as number) ^ mask;
          return bytes;
        }),
    );

  test('flipped bytes of the header', () => {
    const headerEnd = (file: Uint8Array) => 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    const { read, refused } = fuzz(
      flipped(0, (file) => headerEnd(file) - 1),
      3,
      1500,
    );
    expect(read).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(500);
  });

  test('flipped bytes anywhere', () => {
    const { read, refused } = fuzz(
      flipped(0, (file) => file.length - 1),
      4,
      500,
    );
    expect(read).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(100);
  });

  test('values of the manifest exchanged for hostile ones', () => {
    const hostile = fc.constantFrom<unknown>(
      ...[0, -1, 1, 2, 3, 8, 17, 64, 255, 0.5, -0, 1e9, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 1e300],
      ...['', 'tokens', 'pixels', 'left', 'constructor', '__proto__', null, true, [], {}, [[]], undefined],
    );
    const edits = fc.array(fc.tuple(fc.nat(1e6), hostile), { minLength: 1, maxLength: 2 });
    const edited = fc.tuple(anyFile, edits).map(([file, list]) =>
      editModelFile(file, ({ manifest }) => {
        for (const [number, value] of list) {
          const paths = leaves(manifest, []);
          setAt(manifest, paths[number % paths.length] as (string | number)[], value);
        }
      }),
    );
    const { read, refused } = fuzz(edited, 5, 1500);
    expect(read).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(500);
  });
});

/** Paths of all values that are no objects, by keys alone. */
function leaves(value: unknown, path: (string | number)[]): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) =>
    leaves(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

describe('claims of sizes that the file does not hold', () => {
  const [file] = files as [Uint8Array];
  test.each<[string, (manifest: unknown) => void]>([
    [
      'a weight of 2^40 elements',
      (manifest) => {
        setAt(manifest, ['tensors', 'norm', 3], 2 ** 20);
        setAt(manifest, ['operations', 'head', 'inFeatures'], 2 ** 20);
        setAt(manifest, ['operations', 'head', 'outFeatures'], 2 ** 20);
        setAt(manifest, ['tensors', 'logits', 3], 2 ** 20);
      },
    ],
    [
      'a head of 2^20 outputs',
      (manifest) => {
        setAt(manifest, ['operations', 'head', 'outFeatures'], 2 ** 20);
        setAt(manifest, ['tensors', 'logits', 3], 2 ** 20);
        setAt(manifest, ['architecture', 'numClasses'], 2 ** 20);
        setAt(manifest, ['labels'], null);
      },
    ],
    [
      '2^28 tokens',
      (manifest) => {
        setAt(manifest, ['tensors', 'tokens', 2], 2 ** 20);
        setAt(manifest, ['operations', 'pos_embed', 'prefixRows'], 2 ** 20 - 4);
      },
    ],
  ])('%s are refused before they are allocated', (_name, edit) => {
    const bytes = editModelFile(file, ({ manifest }) => edit(manifest));
    const { bytes: allocated, error } = countAllocations(() => readModelFile(bytes, 'm'));
    expect(error).toBeInstanceOf(FormatError);
    expect(allocated).toBeLessThan(bytes.length);
  });
});
