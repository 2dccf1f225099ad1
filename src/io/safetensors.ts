/** Read and write the safetensors format: a u64 header length, a JSON header, then the tensors' bytes, little endian. */
import { findDuplicateKey } from './duplicateKey.ts';
import { FormatError } from './errors.ts';
import { shownJson } from './jsonReader.ts';

/** Bytes of one element of every dtype that a header may name. */
export const dtypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type SafetensorsDtype = keyof typeof dtypeBytes;

/** One tensor of a parsed file; `bytes` is a view into the file, of exactly product(shape) elements, at any alignment. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  /** The file the tensor came from, for messages. */
  readonly file: string;
}

export interface SafetensorsFile {
  /** The header's `__metadata__`, an object without prototype; empty when there is none. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** One tensor to write: `data` holds exactly product(shape) elements of `dtype`, little endian. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/** The limit of the reference implementation. */
const maxHeaderBytes = 100_000_000;
const metadataKey = '__metadata__';

/**
 * The tensors of a safetensors file as views; nothing is copied and nothing the header claims is allocated.
 *
 * Throws FormatError naming `file`, the tensor and the number seen unless the whole file is as the format asks: header
 * length, UTF-8, JSON, no key twice, known dtypes, shape x dtype equal to the bytes, tensors side by side from the first
 * byte of the data to the last.
 */
export function parseSafetensors(bytes: Uint8Array, file: string): SafetensorsFile {
  const { header, dataStart } = readHeader(bytes, file);
  const data = bytes.subarray(dataStart);
  const metadata = Object.create(null) as Record<string, string>;
  const claims: { readonly entry: TensorEntry; readonly begin: number; readonly end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === metadataKey) readMetadata(value, metadata, file);
    else claims.push(readClaim(name, value, data, file));
  }
  claims.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const tensors = new Map<string, TensorEntry>();
  let position = 0;
  for (const { entry, begin, end } of claims) {
    if (begin !== position) {
      const fault = begin < position ? 'overlaps the tensor before it' : 'leaves a gap after the tensor before it';
      throw new FormatError(
        `${file}: tensor ${quote(entry.name)} ${fault}: it begins at byte ${begin} of the data where ${position} was expected. Export the file again.`,
      );
    }
    position = end;
    tensors.set(entry.name, entry);
  }
  if (position !== data.length) {
    throw new FormatError(
      `${file}: the tensors end at byte ${position} of the data but the file has ${data.length} bytes of data. Download or export it again.`,
    );
  }
  return { metadata, tensors };
}

function readHeader(bytes: Uint8Array, file: string): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < 8) {
    throw new FormatError(
      `${file}: ${bytes.length} bytes are too few for a safetensors file (the header length alone takes 8). Download it again.`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw new FormatError(
      `${file}: the header claims ${length} bytes, more than the ${maxHeaderBytes} the format allows; this is no safetensors file.`,
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length) {
    throw new FormatError(
      `${file}: the header claims ${length} bytes but only ${bytes.length - 8} follow; the file is truncated. Download it again.`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart));
  } catch (cause) {
    throw new FormatError(`${file}: the ${length} bytes of header are not UTF-8; this is no safetensors file.`, {
      cause,
    });
  }
  if (!text.startsWith('{')) {
    throw new FormatError(
      `${file}: the header begins with ${quote(text.slice(0, 1))} instead of "{"; this is no safetensors file.`,
    );
  }
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new FormatError(
      `${file}: the header is not JSON (${(cause as Error).message}); this is no safetensors file.`,
      {
        cause,
      },
    );
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new FormatError(`${file}: the header names ${quote(duplicate)} twice. Export the file again.`);
  }
  return { header, dataStart };
}

function readMetadata(value: unknown, metadata: Record<string, string>, file: string): void {
  if (!isObject(value)) throw new FormatError(`${file}: ${metadataKey} must be an object of strings.`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new FormatError(`${file}: ${metadataKey} entry ${quote(key)} is ${shown(text)}, not a string.`);
    }
    metadata[key] = text;
  }
}

function readClaim(
  name: string,
  value: unknown,
  data: Uint8Array,
  file: string,
): { entry: TensorEntry; begin: number; end: number } {
  const where = `${file}: tensor ${quote(name)}`;
  if (!isObject(value)) throw new FormatError(`${where} is described by ${shown(value)}, not by an object.`);
  const dtype = value['dtype'];
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeBytes, dtype)) {
    throw new FormatError(
      `${where} has the unknown dtype ${shown(dtype)}; known: ${Object.keys(dtypeBytes).join(' ')}.`,
    );
  }
  const shape = value['shape'];
  if (!isSizes(shape)) {
    throw new FormatError(`${where} has shape ${shown(shape)}; every dimension must be an integer from 0 to 2^53 - 1.`);
  }
  const offsets = value['data_offsets'];
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw new FormatError(`${where} has data_offsets ${shown(offsets)}; they must be two integers from 0 to 2^53 - 1.`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > data.length) {
    throw new FormatError(
      `${where} claims bytes ${begin} to ${end} of ${data.length} bytes of data; the file is truncated or damaged. Download it again.`,
    );
  }
  const byteLength = byteLengthOf(shape, dtype as SafetensorsDtype);
  if (byteLength !== BigInt(end - begin)) {
    throw new FormatError(
      `${where} of shape ${shown(shape)} and dtype ${dtype} needs ${byteLength} bytes but its data_offsets span ${end - begin}.`,
    );
  }
  const bytes = data.subarray(begin, end);
  return { entry: { name, dtype: dtype as SafetensorsDtype, shape, bytes, file }, begin, end };
}

/** Exact for every shape: a product of doubles could round to the length the file happens to have. */
function byteLengthOf(shape: readonly number[], dtype: SafetensorsDtype): bigint {
  if (shape.includes(0)) return 0n;
  const limit = 1n << 64n;
  let product = BigInt(dtypeBytes[dtype]);
  for (const size of shape) {
    product *= BigInt(size);
    if (product > limit) break; // larger than any file, and a hostile rank must not cost a huge product
  }
  return product;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text);
}

function shown(value: unknown): string {
  return shownJson(value, 120);
}

/**
 * A safetensors file of these tensors: larger elements first, then by name, so that every tensor is aligned and equal
 * inputs give equal bytes; the header is padded with spaces to 8 bytes, as the reference implementation does.
 *
 * Throws RangeError for a name twice, a reserved or ill-formed name, or data that is not product(shape) elements of the dtype.
 */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const ordered = [...tensors].sort(
    (a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const parts: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length > 0) {
    parts.push(`"${metadataKey}":{${pairs.map(([key, text]) => `${encoded(key)}:${encoded(text)}`).join(',')}}`);
  }
  const names = new Set<string>([metadataKey]);
  let position = 0;
  for (const { name, dtype, shape, data } of ordered) {
    if (names.has(name)) throw new RangeError(`Tensor name ${quote(name)} is reserved or given twice.`);
    names.add(name);
    if (!isSizes(shape) || byteLengthOf(shape, dtype) !== BigInt(data.byteLength)) {
      throw new RangeError(
        `Tensor ${quote(name)}: shape ${shown(shape)} of ${dtype} does not match ${data.byteLength} bytes of data.`,
      );
    }
    const end = position + data.byteLength;
    parts.push(
      `${encoded(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${position},${end}]}`,
    );
    position = end;
  }
  const header = new TextEncoder().encode(`{${parts.join(',')}}`);
  const headerLength = Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + position);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.set(header, 8);
  bytes.fill(0x20, 8 + header.length, 8 + headerLength);
  position = 8 + headerLength;
  for (const { data } of ordered) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

function encoded(text: string): string {
  if (/\p{Surrogate}/u.test(text))
    throw new RangeError(`${quote(text)} holds a lone surrogate, which UTF-8 cannot store.`);
  return JSON.stringify(text);
}
