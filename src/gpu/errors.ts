/** The device refused a shader, a pipeline, a buffer or a dispatch. */
export class GpuError extends Error {
  override readonly name: string = 'GpuError';
}

/** The device went away while work was under way (driver reset, out of memory, `destroy`). */
export class DeviceLostError extends GpuError {
  override readonly name = 'DeviceLostError';
}

/** The device has no memory left for a buffer; the message says how much was held. */
export class DeviceMemoryError extends GpuError {
  override readonly name = 'DeviceMemoryError';
}

/** No adapter, or one that lacks a limit or a feature that the work needs; the message names it with the number seen. */
export class UnsupportedDeviceError extends Error {
  override readonly name = 'UnsupportedDeviceError';
}
