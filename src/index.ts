/** The public library: what runs wherever there is WebGPU. `node.ts` and `browser.ts` add what their platform has. */
export { openGpu, type AdapterDescription, type Gpu } from './gpu/device.ts';
export { DeviceLostError, GpuError, UnsupportedDeviceError } from './gpu/errors.ts';
export { FormatError } from './io/errors.ts';
export { loadModel, type Model } from './model/load.ts';
export {
  calibrate,
  type CalibrationControl,
  type CalibrationImage,
  type CalibrationResult,
} from './calibrate/calibrate.ts';
export { CalibrationError } from './calibrate/errors.ts';
export { calibrationOptions, PRESET_NAMES, type CalibrationOverrides, type PresetName } from './calibrate/options.ts';
export type { Control, Progress } from './calibrate/progress.ts';
export type { CheckpointStore } from './calibrate/checkpoint.ts';
export type { CalibrationOptions, LayerRecipe, Recipe } from './calibrate/recipe.ts';
export { parseRecipe } from './calibrate/readRecipe.ts';
export { recipeText } from './calibrate/recipeText.ts';
export { checkWeightsFit } from './calibrate/fitWeights.ts';
export { checkRecipeFits } from './calibrate/fitRecipe.ts';
export { quantizedWeightsFile } from './calibrate/weightsFile.ts';
export { createFloatRunner, createSimulation, type Runner } from './simulate/simulate.ts';
export { compareLogits, type Comparison, type LogitTable } from './evaluate/compare.ts';
export { wilsonInterval } from './evaluate/interval.ts';
