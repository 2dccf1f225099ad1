/** The wire format of protocol buffers, as far as ONNX needs it: pieces that are joined once, so that weights are copied once. */
export interface Wire {
  readonly bytes: number;
  readonly pieces: readonly Uint8Array[];
}

/** What a protocol buffer may hold at most, which is what its readers accept. */
export const LARGEST_MESSAGE = 2 ** 31 - 1;

/** The fields of a message in order. */
export function message(...fields: readonly Wire[]): Wire {
  return {
    bytes: fields.reduce((sum, field) => sum + field.bytes, 0),
    pieces: fields.flatMap((field) => field.pieces),
  };
}

/** A signed integer, in 64 bits. */
export function integerField(field: number, value: number): Wire {
  return piece([...varint(field << 3), ...varint(value)]);
}

/** A 32-bit float. */
export function floatField(field: number, value: number): Wire {
  return piece([...varint((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)]);
}

export function textField(field: number, text: string): Wire {
  return bytesField(field, new TextEncoder().encode(text));
}

export function bytesField(field: number, bytes: Uint8Array): Wire {
  return messageField(field, { bytes: bytes.byteLength, pieces: [bytes] });
}

export function messageField(field: number, content: Wire): Wire {
  return message(piece([...varint((field << 3) | 2), ...varint(content.bytes)]), content);
}

/** The bytes of a message. */
export function joined({ bytes, pieces }: Wire): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const part of pieces) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

function piece(bytes: readonly number[]): Wire {
  return { bytes: bytes.length, pieces: [Uint8Array.from(bytes)] };
}

/** Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return bytes;
}
