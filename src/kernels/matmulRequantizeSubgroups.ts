import codes from '../../shaders/lib_codes.wgsl?raw';
import fixedPoint from '../../shaders/lib_fixed_point.wgsl?raw';
import requantize from '../../shaders/lib_requantize.wgsl?raw';
import body from '../../shaders/matmul_requantize_subgroups.wgsl?raw';
import type { Kernel } from '../gpu/kernel.ts';
import { requantizeInterface, requantizeOverrides } from './requantizeInterface.ts';

/** The interface of `matmul_requantize`; prepared by `matmulRequantize` for variants of style `subgroups`. */
export const matmulRequantizeSubgroupsKernel = {
  name: 'matmul_requantize_subgroups',
  wgsl: `${body}\n${requantize}\n${codes}\n${fixedPoint}`,
  ...requantizeInterface,
  overrides: { WX: 32, ROWS: 16, SHARE: 4, ...requantizeOverrides },
} as const satisfies Kernel;
