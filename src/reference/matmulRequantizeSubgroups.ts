/** Reference of `matmul_requantize_subgroups.wgsl`: it computes what `matmul_requantize.wgsl` does. */
export { matmulRequantizeReference as matmulRequantizeSubgroupsReference } from './matmulRequantize.ts';
