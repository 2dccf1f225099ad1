/** `score_cosine_subgroups.wgsl` computes what `score_cosine.wgsl` does: one reference for both. */
export { scoreCosineReference as scoreCosineSubgroupsReference } from './scoreCosine.ts';
