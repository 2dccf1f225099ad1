/** `score_elementwise_subgroups.wgsl` computes what `score_elementwise.wgsl` does: one reference for both. */
export { scoreElementwiseReference as scoreElementwiseSubgroupsReference } from './scoreElementwise.ts';
