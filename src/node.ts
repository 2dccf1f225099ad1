/** The library in Node: the public library, and what needs files and the adapter of the `webgpu` package. */
export * from './index.ts';
export {
  describeModel,
  type LayerDescription,
  type ModelDescription,
  type OperandDescription,
} from './calibrate/describeModel.ts';
export { checkMeasurable, checkOptions } from './calibrate/checkOptions.ts';
export { imageWarnings } from './calibrate/imageWarnings.ts';
export { chooseFamilies, chooseWidths, type Budget, type MixedPrecision } from './calibrate/mixedPrecision.ts';
export { measureProductTimes, type ProductTime } from './calibrate/productTimes.ts';
export { curveLayers, curveOperands } from './calibrate/scoreCurve.ts';
export {
  measureFamilies,
  measureSensitivity,
  type FamilySensitivity,
  type LayerSensitivity,
} from './calibrate/sensitivity.ts';
export { syntheticImages } from './calibrate/syntheticImages.ts';
export { OutputError } from './io/errors.ts';
export { writeFileAtomically, writeFolderAtomically, type WriteOptions } from './io/writeFolder.ts';
export { ablate, type AblationInput, type AblationRow } from './node/ablate.ts';
export { CheckpointCache } from './node/checkpointCache.ts';
export { InputError } from './node/errors.ts';
export {
  benchModelFile,
  type BatchTiming,
  type BenchOptions,
  type BenchResult,
  type Timing,
} from './node/benchModelFile.ts';
export { classifyFiles, readImages, type ClassifiedFile, type NamedClass } from './node/classifyFiles.ts';
export type { FolderControl } from './node/collectLogits.ts';
export { evaluateFolder, type EvaluateOptions } from './node/evaluateFolder.ts';
export {
  checkOriginal,
  evaluateModelFile,
  type EvaluateFileOptions,
  type FileComparison,
  type FloatOriginal,
  type Nearness,
} from './node/evaluateModelFile.ts';
export {
  exportRecipe,
  floatWeightBytes,
  MODEL_FILE,
  nonlinearMethods,
  parameterBytes,
  type NonlinearCounts,
} from './node/exportRecipe.ts';
export { createDeviceRunner, createReferenceRunner, type IntegerRunner, type Runtime } from './node/integerRunner.ts';
export { checkpointOfRecipe, onnxOfModel, onnxOfRecipe } from './node/exportFormats.ts';
export { listImageFolder, loadLabels, type ImageFolder } from './node/imageFolder.ts';
export { isModelFile, loadModelFile, type ModelFile } from './node/modelFile.ts';
export { loadModelFolder } from './node/modelFolder.ts';
export { isOnHub, openModel, type LocalModel, type OpenModelOptions } from './node/openModel.ts';
export { openNodeGpu, type NodeGpu } from './node/openGpu.ts';
export { checkOutputFile } from './node/outputFile.ts';
export { checkOutputFolder } from './node/outputFolder.ts';
export { loadEvaluation, loadRecipeView, reportScript, runFileOf } from './node/reportFiles.ts';
export { compareRecipes, type DiffData } from './report/compareRecipes.ts';
export { recipeView } from './report/data.ts';
export { reportHtml } from './report/html.ts';
export { readRun } from './report/readRun.ts';
export { loadRecipeFiles, loadRecipeFolder, recipePaths, type RecipeFolder } from './node/recipeFolder.ts';
export { loadSettings } from './node/settings.ts';
export { requireImages, selectImages, type ImageSelection, type SelectOptions } from './node/selectImages.ts';
