import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/io/sha256.ts';

test('gives the published digests, also of a view inside a longer buffer', async () => {
  expect(await sha256(new Uint8Array(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  const abc = new TextEncoder().encode('xabcx').subarray(1, 4);
  expect(await sha256(abc)).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  const long = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 31) % 251);
  expect(await sha256(long)).toBe(createHash('sha256').update(long).digest('hex'));
});
