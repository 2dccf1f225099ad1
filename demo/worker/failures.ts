/** Errors of the library in the words of the page. */
import {
  CalibrationError,
  DeviceLostError,
  ExportError,
  FormatError,
  GpuError,
  HubError,
  UnsupportedDeviceError,
} from '../../src/index.ts';
import type { Failure } from '../protocol.ts';

/** WebGPU is not there, or has no adapter. */
export class NoWebGpuError extends Error {
  override readonly name = 'NoWebGpuError';
}

export function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NoWebGpuError) return { kind: 'no-webgpu', message };
  if (error instanceof DeviceLostError) return { kind: 'device-lost', message };
  if (error instanceof UnsupportedDeviceError || /out.?of.?memory|allocation failed|too large/i.test(message)) {
    return { kind: 'memory', message };
  }
  if (error instanceof HubError) return { kind: 'hub', message };
  if (error instanceof FormatError || error instanceof ExportError || error instanceof CalibrationError) {
    return { kind: 'input', message };
  }
  return { kind: 'program', message: error instanceof GpuError ? message : `${message}` };
}
