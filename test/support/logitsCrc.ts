import { crc32 } from 'node:zlib';

/** CRC-32 of integer logits in little endian, eight hexadecimal digits: what engines and adapters are compared by. */
export function crcOf(logits: Int32Array): string {
  return crc32(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
    .toString(16)
    .padStart(8, '0');
}
