/** The library in Node: the public library, and what needs files and the adapter of the `webgpu` package. */
export * from './index.ts';
export {
  describeModel,
  type LayerDescription,
  type ModelDescription,
  type OperandDescription,
} from './calibrate/describeModel.ts';
export { OutputError } from './io/errors.ts';
export { writeFileAtomically, writeFolderAtomically, type WriteOptions } from './io/writeFolder.ts';
export { CheckpointCache } from './node/checkpointCache.ts';
export { InputError } from './node/errors.ts';
export { evaluateFolder, type EvaluateOptions } from './node/evaluateFolder.ts';
export { listImageFolder, loadLabels, type ImageFolder } from './node/imageFolder.ts';
export { loadModelFolder } from './node/modelFolder.ts';
export { openNodeGpu, type NodeGpu } from './node/openGpu.ts';
export { checkOutputFolder } from './node/outputFolder.ts';
export { loadRecipeFolder, type RecipeFolder } from './node/recipeFolder.ts';
export { requireImages, selectImages, type ImageSelection, type SelectOptions } from './node/selectImages.ts';
export { selfTest, type SelfTestResult } from './selfTest/selfTest.ts';
