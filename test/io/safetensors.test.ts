import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { assertFinite, readF32, readI16, readI32, readI8, readU16, readU32, readU8 } from '../../src/io/readTensor.ts';
import { dtypeBytes, parseSafetensors, writeSafetensors, type SafetensorsDtype } from '../../src/io/safetensors.ts';
import { dataDirectory } from '../support/data.ts';

/** A file of this header text and data, as hostile as asked for. */
function fileOf(header: string | Uint8Array, data = new Uint8Array(0), claimedLength?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claimedLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

function tensor(dtype: unknown, shape: unknown, offsets: unknown): string {
  return `{"dtype":${JSON.stringify(dtype)},"shape":${JSON.stringify(shape)},"data_offsets":${JSON.stringify(offsets)}}`;
}

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
    return (error as FormatError).message;
  }
  throw new Error('no error was thrown');
}

const entryOf = (bytes: Uint8Array, name: string) => {
  const entry = parseSafetensors(bytes, 'x').tensors.get(name);
  if (entry === undefined) throw new Error(`no tensor ${name}`);
  return entry;
};

test('reads a file written by Python struct, every tensor misaligned', () => {
  const bytes = readFileSync(new URL('../golden/io/every.safetensors', import.meta.url));
  const { metadata, tensors } = parseSafetensors(bytes, 'every.safetensors');
  expect({ ...metadata }).toEqual({ format: 'pt', 'made by': 'struct' });
  expect([...tensors.keys()]).toEqual(
    ['f32', 'f16', 'bf16', 'i8', 'u8', 'i16', 'i32', 'i64', 'scalar', 'empty', 'naïve 😀'].sort(
      (a, b) => tensors.get(a)!.bytes.byteOffset - tensors.get(b)!.bytes.byteOffset,
    ),
  );
  expect(tensors.get('f32')!.bytes.byteOffset % 4).not.toBe(0);
  expect(tensors.get('f32')!.shape).toEqual([2, 3]);
  expect([...readF32(tensors.get('f32')!)]).toEqual([0, -0, 1.5, -2.25, 3.4028234663852886e38, 2 ** -149]);
  expect([...readF32(tensors.get('f16')!)]).toEqual([0, -0, 1, -65504, 2 ** -14, 2 ** -24, 0.333251953125]);
  expect([...readF32(tensors.get('bf16')!)]).toEqual([1, -2.5, 3.3895313892515355e38, 2 ** -133]);
  expect([...readI8(tensors.get('i8')!)]).toEqual([-128, 0, 127]);
  expect([...readU8(tensors.get('u8')!)]).toEqual([0, 255]);
  expect([...readI16(tensors.get('i16')!)]).toEqual([-32768, -1, 32767]);
  expect([...readI32(tensors.get('i32')!)]).toEqual([-(2 ** 31), 2 ** 31 - 1]);
  expect([...readF32(tensors.get('scalar')!)]).toEqual([0.5]);
  expect(tensors.get('scalar')!.shape).toEqual([]);
  expect(readF32(tensors.get('empty')!).length).toBe(0);
  expect([...readU8(tensors.get('naïve 😀')!)]).toEqual([7]);
});

test('all 65 536 half floats read as their exact values', () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = readF32(entryOf(writeSafetensors([{ name: 'h', dtype: 'F16', shape: [65536], data: halves }]), 'h'));
  const expected = Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
  });
  expect(values.every((value, i) => Object.is(value, expected[i]))).toBe(true);
});

test('unsigned integers of 16 and 32 bits keep their top bit', () => {
  const bytes = writeSafetensors([
    { name: 'u16', dtype: 'U16', shape: [3], data: Uint16Array.of(0, 32768, 65535) },
    { name: 'u32', dtype: 'U32', shape: [2], data: Uint32Array.of(2 ** 31, 2 ** 32 - 1) },
  ]);
  expect([...readU16(entryOf(bytes, 'u16'))]).toEqual([0, 32768, 65535]);
  expect([...readU32(entryOf(bytes, 'u32'))]).toEqual([2 ** 31, 2 ** 32 - 1]);
  expect(() => readU32(entryOf(bytes, 'u16'))).toThrow('has dtype U16, wanted U32');
});

test('a value nested too deeply to print is refused as any other', () => {
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  const bytes = fileOf(`{"a":{"dtype":"I8","shape":${deep},"data_offsets":[0,0]}}`);
  expect(messageOf(() => parseSafetensors(bytes, 'f'))).toContain('tensor "a" has shape a value nested too deeply');
});

test('the values are a copy of their own', () => {
  const bytes = writeSafetensors([{ name: 'a', dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) }]);
  const entry = entryOf(bytes, 'a');
  const values = readF32(entry);
  values[0] = 9;
  expect([...readF32(entry)]).toEqual([1, 2]);
});

test('a wrong dtype names the tensor and what was wanted', () => {
  const entry = entryOf(
    writeSafetensors([{ name: 'ids', dtype: 'I64', shape: [1], data: new BigInt64Array(1) }]),
    'ids',
  );
  expect(messageOf(() => readF32(entry))).toMatch(/"ids" has dtype I64, wanted F32 or F16 or BF16/);
  expect(messageOf(() => readI8(entry))).toMatch(/wanted I8/);
});

test('NaN and infinite weights are refused with their place', () => {
  expect(() => assertFinite('w', Float32Array.of(1, -0, 3e38), 'm')).not.toThrow();
  expect(messageOf(() => assertFinite('w', Float32Array.of(1, NaN), 'm'))).toMatch(
    /m: tensor "w" holds NaN at element 1 of 2/,
  );
  expect(messageOf(() => assertFinite('w', Float32Array.of(-Infinity), 'm'))).toMatch(/-Infinity at element 0/);
});

describe('hostile files are refused, each with the file and the number seen', () => {
  const eight = new Uint8Array(8);
  const cases: Record<string, [Uint8Array, RegExp]> = {
    'no bytes': [new Uint8Array(0), /evil: 0 bytes are too few/],
    'seven bytes': [new Uint8Array(7), /7 bytes are too few/],
    'header beyond the file': [fileOf('{}', eight, 1000n), /claims 1000 bytes but only 10 follow/],
    'header of 2^64 - 1 bytes': [fileOf('{}', eight, 2n ** 64n - 1n), /claims 18446744073709551615 bytes, more than/],
    'header of 2^53 bytes': [fileOf('{}', eight, 2n ** 53n), /claims 9007199254740992 bytes, more than/],
    'header just above the limit': [fileOf('{}', eight, 100_000_001n), /claims 100000001 bytes, more than/],
    'header not UTF-8': [fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)), /not UTF-8/],
    'header empty': [fileOf('', eight), /begins with ""/],
    'header an array': [fileOf('[]'), /begins with "\["/],
    'header after a byte order mark': [fileOf('\ufeff{}'), /begins with/],
    'header cut': [fileOf('{"a":'), /not JSON/],
    'header nested 100 000 deep': [fileOf(`{"a":${'['.repeat(100_000)}`), /not JSON/],
    'a key twice': [
      fileOf(`{"a":${tensor('U8', [8], [0, 8])},"\\u0061":${tensor('U8', [8], [0, 8])}}`, eight),
      /names "a" twice/,
    ],
    'offsets twice': [
      fileOf('{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,4],"data_offsets":[0,8]}}', eight),
      /names "data_offsets" twice/,
    ],
    'a number for a tensor': [fileOf('{"a":3}'), /tensor "a" is described by 3/],
    'null for a tensor': [fileOf('{"a":null}'), /described by null/],
    'an array for a tensor': [fileOf('{"a":[]}'), /described by \[\]/],
    'no dtype': [fileOf('{"a":{"shape":[],"data_offsets":[0,0]}}'), /unknown dtype missing/],
    'unknown dtype': [fileOf(`{"a":${tensor('F33', [2], [0, 8])}}`, eight), /"a" has the unknown dtype "F33"/],
    'dtype of the object prototype': [
      fileOf(`{"a":${tensor('constructor', [2], [0, 8])}}`, eight),
      /unknown dtype "constructor"/,
    ],
    'no shape': [fileOf('{"a":{"dtype":"U8","data_offsets":[0,8]}}', eight), /shape missing/],
    'negative shape': [fileOf(`{"a":${tensor('U8', [-8, -1], [0, 8])}}`, eight), /shape \[-8,-1\]/],
    'fractional shape': [fileOf(`{"a":${tensor('U8', [1.5], [0, 8])}}`, eight), /shape \[1.5\]/],
    'shape of text': [fileOf(`{"a":${tensor('U8', ['8'], [0, 8])}}`, eight), /shape \["8"\]/],
    'shape of 2^53': [fileOf(`{"a":${tensor('U8', [2 ** 53], [0, 8])}}`, eight), /shape \[9007199254740992\]/],
    'shape whose product wraps 64 bits to 8': [
      fileOf(`{"a":${tensor('U8', [2 ** 32, 2 ** 32 + 2 ** 10], [0, 8])}}`, eight),
      /needs 18446748471756062720 bytes but its data_offsets span 8/,
    ],
    'shape of 100 000 dimensions': [
      fileOf(`{"a":${tensor('U8', new Array<number>(100_000).fill(2 ** 53 - 1), [0, 8])}}`, eight),
      /needs \d+ bytes/,
    ],
    'shape too small': [
      fileOf(`{"a":${tensor('F32', [1], [0, 8])}}`, eight),
      /needs 4 bytes but its data_offsets span 8/,
    ],
    'negative offset': [fileOf(`{"a":${tensor('U8', [8], [-1, 7])}}`, eight), /data_offsets \[-1,7\]/],
    'fractional offset': [fileOf(`{"a":${tensor('U8', [8], [0, 8.5])}}`, eight), /data_offsets \[0,8.5\]/],
    'offset of 2^53': [fileOf(`{"a":${tensor('U8', [8], [0, 2 ** 53])}}`, eight), /data_offsets/],
    'three offsets': [fileOf(`{"a":${tensor('U8', [8], [0, 4, 8])}}`, eight), /data_offsets \[0,4,8\]/],
    'offsets reversed': [fileOf(`{"a":${tensor('U8', [8], [8, 0])}}`, eight), /claims bytes 8 to 0 of 8/],
    'offset past the file': [fileOf(`{"a":${tensor('U8', [9], [0, 9])}}`, eight), /claims bytes 0 to 9 of 8 bytes/],
    overlap: [
      fileOf(`{"a":${tensor('U8', [5], [0, 5])},"b":${tensor('U8', [4], [4, 8])}}`, eight),
      /"b" overlaps .* begins at byte 4 of the data where 5 was expected/,
    ],
    'the same bytes twice': [
      fileOf(`{"a":${tensor('U8', [8], [0, 8])},"b":${tensor('U8', [8], [0, 8])}}`, eight),
      /overlaps/,
    ],
    'gap between': [
      fileOf(`{"a":${tensor('U8', [3], [0, 3])},"b":${tensor('U8', [4], [4, 8])}}`, eight),
      /"b" leaves a gap .* byte 4 of the data where 3 was expected/,
    ],
    'gap before': [fileOf(`{"a":${tensor('U8', [4], [4, 8])}}`, eight), /leaves a gap/],
    'bytes left over': [
      fileOf(`{"a":${tensor('U8', [4], [0, 4])}}`, eight),
      /end at byte 4 of the data but the file has 8/,
    ],
    'metadata not an object': [fileOf('{"__metadata__":"x"}'), /__metadata__ must be an object/],
    'metadata of numbers': [fileOf('{"__metadata__":{"a":1}}'), /entry "a" is 1, not a string/],
  };
  test.each(Object.entries(cases))('%s', (_, [bytes, message]) => {
    const text = messageOf(() => parseSafetensors(bytes, 'evil'));
    expect(text).toMatch(message);
    expect(text.startsWith('evil: ')).toBe(true);
    expect(text.length).toBeLessThan(600);
  });

  test('names of the object prototype are tensors like any other', () => {
    const names = ['__proto__', 'constructor', 'toString', '', '0'];
    const header = names.map((name, i) => `${JSON.stringify(name)}:${tensor('U8', [1], [i, i + 1])}`).join(',');
    const bytes = fileOf(`{"__metadata__":{"__proto__":"y"},${header}}`, Uint8Array.of(5, 6, 7, 8, 9));
    const { tensors, metadata } = parseSafetensors(bytes, 'x');
    expect([...tensors].map(([name, entry]) => [name, readU8(entry)[0]])).toEqual(
      names.map((name, i) => [name, i + 5]),
    );
    expect(Object.entries(metadata)).toEqual([['__proto__', 'y']]);
  });

  test('every prefix and every damaged byte of a good file is read or refused, never worse', () => {
    const good = readFileSync(new URL('../golden/io/every.safetensors', import.meta.url));
    for (let length = 0; length < good.length; length++) {
      expect(() => parseSafetensors(good.subarray(0, length), 'x')).toThrow(FormatError);
    }
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
        const bytes = Uint8Array.from(good);
        bytes[place] = (bytes[place] as number) ^ change;
        try {
          parseSafetensors(bytes, 'x');
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { seed: 1, numRuns: 3000 },
    );
  });
});

describe('writing', () => {
  const tensorToWrite = fc
    .record({
      name: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'a"b\\', 'constructor', '7')),
      dtype: fc.constantFrom(...(Object.keys(dtypeBytes) as SafetensorsDtype[])),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    })
    .filter(({ name }) => name !== '__metadata__')
    .map(({ name, dtype, shape, seed }) => {
      const length = shape.reduce((a, b) => a * b, 1) * dtypeBytes[dtype];
      return { name, dtype, shape, data: Uint8Array.from({ length }, (_, i) => seed + i * 7) };
    });
  const tensorsToWrite = fc.uniqueArray(tensorToWrite, { selector: ({ name }) => name, maxLength: 8 });

  test('what is written is read back, aligned, and does not depend on the order given', () => {
    fc.assert(
      fc.property(tensorsToWrite, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const bytes = writeSafetensors(tensors, metadata);
        expect(writeSafetensors(tensors.toReversed(), metadata)).toEqual(bytes);
        const file = parseSafetensors(bytes, 'x');
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect(file.tensors.size).toBe(tensors.length);
        for (const { name, dtype, shape, data } of tensors) {
          const entry = file.tensors.get(name)!;
          expect([entry.dtype, entry.shape, [...entry.bytes]]).toEqual([dtype, shape, [...data]]);
          expect(entry.bytes.byteOffset % dtypeBytes[dtype]).toBe(0);
        }
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test('the bytes are those of the format', () => {
    const bytes = writeSafetensors(
      [
        { name: 'b', dtype: 'I8', shape: [3], data: Int8Array.of(1, -1, 2) },
        { name: 'a', dtype: 'F32', shape: [1], data: new Float32Array(Float32Array.of(7, 1, 7).buffer, 4, 1) },
      ],
      { format: 'pt' },
    );
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"I8","shape":[3],"data_offsets":[4,7]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, ' ');
    expect(padded.length).not.toBe(header.length);
    expect([...bytes]).toEqual([...fileOf(padded, Uint8Array.of(0, 0, 128, 63, 1, 255, 2))]);
  });

  test('refuses what it could not read back', () => {
    const one = { dtype: 'U8', shape: [1], data: new Uint8Array(1) } as const;
    expect(() =>
      writeSafetensors([
        { name: 'a', ...one },
        { name: 'a', ...one },
      ]),
    ).toThrow(/"a" is reserved or given twice/);
    expect(() => writeSafetensors([{ name: '__metadata__', ...one }])).toThrow(/reserved/);
    expect(() => writeSafetensors([{ name: '\ud800', ...one }])).toThrow(/lone surrogate/);
    expect(() => writeSafetensors([{ ...one, name: 'a', shape: [2] }])).toThrow(
      /shape \[2\] of U8 does not match 1 bytes/,
    );
    expect(() => writeSafetensors([{ ...one, name: 'a', shape: [-1] }])).toThrow(/does not match/);
  });
});

const data = dataDirectory();
if (data !== undefined) {
  test('a real model is read and written back with the same values', () => {
    const file = parseSafetensors(
      readFileSync(join(data, 'deit-tiny-patch16-224', 'model.safetensors')),
      'model.safetensors',
    );
    let parameters = 0;
    for (const entry of file.tensors.values()) {
      const values = readF32(entry);
      assertFinite(entry.name, values, entry.file);
      parameters += values.length;
    }
    expect(parameters).toBe(5_717_416);
    const again = parseSafetensors(
      writeSafetensors([...file.tensors.values()].map((entry) => ({ ...entry, data: entry.bytes }))),
      'again',
    );
    expect([...again.tensors.keys()].sort()).toEqual([...file.tensors.keys()].sort());
    for (const [name, entry] of again.tensors)
      expect(Buffer.compare(entry.bytes, file.tensors.get(name)!.bytes)).toBe(0);
  });
}
