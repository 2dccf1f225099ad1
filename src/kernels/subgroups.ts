/** Whether `device` runs shaders with subgroup operations in subgroups of at least 4 lanes, which the kernels that share rows are built for. */
export function hasSubgroupsOfFour(device: GPUDevice): boolean {
  return device.features.has('subgroups') && device.adapterInfo.subgroupMinSize >= 4;
}
