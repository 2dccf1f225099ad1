/** The values of one tensor of a safetensors file as a typed array of their own, whatever the alignment in the file. */
import { FormatError } from './errors.ts';
import type { SafetensorsDtype, TensorEntry } from './safetensors.ts';

/** F32, F16 or BF16 as f32, exactly; FormatError for any other dtype. */
export function readF32(entry: TensorEntry): Float32Array<ArrayBuffer> {
  if (entry.dtype === 'F32') return new Float32Array(ownBytes(entry));
  if (entry.dtype === 'F16') return halvesToF32(new Uint16Array(ownBytes(entry)));
  if (entry.dtype === 'BF16') {
    const upper = new Uint16Array(ownBytes(entry));
    return new Float32Array(Uint32Array.from(upper, (bits) => bits << 16).buffer);
  }
  throw wrongDtype(entry, ['F32', 'F16', 'BF16']);
}

export function readI8(entry: TensorEntry): Int8Array<ArrayBuffer> {
  return new Int8Array(ownBytes(entry, 'I8'));
}

export function readU8(entry: TensorEntry): Uint8Array<ArrayBuffer> {
  return new Uint8Array(ownBytes(entry, 'U8'));
}

export function readI16(entry: TensorEntry): Int16Array<ArrayBuffer> {
  return new Int16Array(ownBytes(entry, 'I16'));
}

export function readU16(entry: TensorEntry): Uint16Array<ArrayBuffer> {
  return new Uint16Array(ownBytes(entry, 'U16'));
}

export function readU32(entry: TensorEntry): Uint32Array<ArrayBuffer> {
  return new Uint32Array(ownBytes(entry, 'U32'));
}

export function readI32(entry: TensorEntry): Int32Array<ArrayBuffer> {
  return new Int32Array(ownBytes(entry, 'I32'));
}

/** Throws FormatError naming the tensor and the first value that is NaN or infinite, with its index. */
export function assertFinite(name: string, values: Float32Array, file: string): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new FormatError(
        `${file}: tensor ${JSON.stringify(name)} holds ${values[i]} at element ${i} of ${values.length}; all values must be finite. Check the training or the conversion that made the file.`,
      );
    }
  }
}

function ownBytes(entry: TensorEntry, dtype?: SafetensorsDtype): ArrayBuffer {
  if (dtype !== undefined && entry.dtype !== dtype) throw wrongDtype(entry, [dtype]);
  return new Uint8Array(entry.bytes).buffer;
}

function wrongDtype(entry: TensorEntry, wanted: readonly SafetensorsDtype[]): FormatError {
  return new FormatError(
    `${entry.file}: tensor ${JSON.stringify(entry.name)} has dtype ${entry.dtype}, wanted ${wanted.join(' or ')}. Convert it first.`,
  );
}

/** IEEE 754 binary16 to binary32 by bits, so that subnormals are exact and NaN payloads and signed zeros are kept. */
function halvesToF32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i] as number;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0x1f) bits[i] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) bits[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else if (fraction > 0) {
      const leading = 31 - Math.clz32(fraction); // value = fraction * 2^-24
      bits[i] = sign | ((leading + 103) << 23) | ((fraction << (23 - leading)) & 0x7fffff);
    } else bits[i] = sign;
  }
  return new Float32Array(bits.buffer);
}
