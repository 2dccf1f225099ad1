/** `matmul_f32_subgroups.wgsl` computes what `matmul_f32.wgsl` does: one reference for both. */
export { matmulF32Reference as matmulF32SubgroupsReference } from './matmulF32.ts';
