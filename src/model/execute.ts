/** Running a network unit by unit: everything that the calibration sweep and the simulation need. */
export { backwardUnit } from './backward.ts';
export type { ExecutionContext, SearchedExecutor, Tensors } from './context.ts';
export { floatExecutor, forwardOperation, forwardUnit, outputOf } from './forward.ts';
export { forwardNetwork, largestChunk, type ForwardOptions } from './forwardNetwork.ts';
export { ParameterStore, parametersOf } from './parameterStore.ts';
