/** Errors of the library in the words of the page. */
import {
  CalibrationError,
  DeviceLostError,
  DeviceMemoryError,
  ExportError,
  FormatError,
  GpuError,
  HubError,
  OptionsError,
  UnsupportedDeviceError,
} from '../../src/index.ts';
import type { Failure } from '../protocol.ts';

/** WebGPU is not there, or has no adapter. */
export class NoWebGpuError extends Error {
  override readonly name = 'NoWebGpuError';
}

/** What browsers say of arrays and mapped buffers that are too large for them. */
const NO_MEMORY = /out of memory|allocation failed|too large|invalid (typed )?array length/i;

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NoWebGpuError) return { kind: 'no-webgpu', message };
  if (error instanceof DeviceLostError) return { kind: 'device-lost', message };
  if (error instanceof DeviceMemoryError || error instanceof UnsupportedDeviceError || NO_MEMORY.test(message)) {
    return { kind: 'memory', message };
  }
  if (error instanceof HubError) return { kind: 'hub', message };
  const ofInput = [FormatError, ExportError, CalibrationError, OptionsError];
  if (ofInput.some((kind) => error instanceof kind)) return { kind: 'input', message };
  return { kind: 'program', message: error instanceof GpuError ? message : `${message}` };
}
