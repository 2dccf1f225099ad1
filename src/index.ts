/** The public library: what runs wherever there is WebGPU. `node.ts` and `browser.ts` add what their platform has. */
export { openGpu, type AdapterDescription, type Gpu } from './gpu/device.ts';
export { DeviceLostError, GpuError, UnsupportedDeviceError } from './gpu/errors.ts';
