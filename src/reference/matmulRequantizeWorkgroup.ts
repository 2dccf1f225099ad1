/** Reference of `matmul_requantize_workgroup.wgsl`: it computes what `matmul_requantize.wgsl` does. */
export { matmulRequantizeReference as matmulRequantizeWorkgroupReference } from './matmulRequantize.ts';
