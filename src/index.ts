/** The public library: what runs wherever there is WebGPU. `node.ts` and `browser.ts` add what their platform has. */
export { openGpu, type AdapterDescription, type Gpu } from './gpu/device.ts';
export { DeviceLostError, DeviceMemoryError, GpuError, UnsupportedDeviceError } from './gpu/errors.ts';
export { FormatError } from './io/errors.ts';
export { HubError } from './io/hub/errors.ts';
export type { FetchedModel, FetchModelOptions } from './model/fetchModel.ts';
export type { Model } from './model/load.ts';
export type { ModelFiles } from './model/modelFiles.ts';
export {
  calibrate,
  createFloatRunner,
  createReferenceEngine,
  createSession,
  createSimulation,
  exportModel,
  exportOnnx,
  layerCurve,
  loadModel,
  loadModelFiles,
  fetchModel,
  readModelFile,
  selfTest,
  writeModelFile,
} from './jobs.ts';
export type { CalibrationControl, CalibrationResult } from './calibrate/calibrate.ts';
export type { CalibrationImage } from './calibrate/imageChunks.ts';
export { CalibrationError, OptionsError } from './calibrate/errors.ts';
export {
  METRICS,
  OPTION_FIELDS,
  PRESET_NAMES,
  type CalibrationOptions,
  type Metric,
  type PresetName,
} from './calibrate/options.ts';
export { calibrationOptions, type CalibrationOverrides } from './calibrate/presets.ts';
export type { Control, Progress } from './calibrate/progress.ts';
export type { CheckpointStore } from './calibrate/checkpoint.ts';
export type { CurveCandidate, CurveMeasure, LayerCurve } from './calibrate/layerCurve.ts';
export type { CurveInput } from './calibrate/scoreCurve.ts';
export type { LayerReport } from './calibrate/layerReport.ts';
export type { ReportCurve } from './calibrate/layerReportCurves.ts';
export type { OperandReport } from './calibrate/operandReport.ts';
export type { LayerRecipe, Recipe } from './calibrate/recipe.ts';
export { parseRecipe } from './calibrate/readRecipe.ts';
export { recipeText } from './calibrate/recipeText.ts';
export { checkWeightsFit } from './calibrate/fitWeights.ts';
export { checkRecipeFits } from './calibrate/fitRecipe.ts';
export { quantizedWeightsFile } from './calibrate/weightsFile.ts';
export { ExportError } from './export/errors.ts';
export type { ExportInput } from './export/exportModel.ts';
export type { OnnxInput } from './export/onnx/exportOnnx.ts';
export type { NonlinearChoice, NonlinearOption } from './export/nonlinear.ts';
export type { ArchitectureSummary, IntegerModel, Provenance } from './format/model.ts';
export type { Classification, RankedClass } from './infer/classification.ts';
export type { ReferenceEngine } from './infer/referenceEngine.ts';
export type { OperationTime } from './infer/profile.ts';
export type { FloatKind } from './infer/context.ts';
export type { ClassifiedImage, Session, SessionOptions } from './infer/session.ts';
export type { TileCache, TileOptions } from './infer/tiles.ts';
export type { DecodedImage } from './io/images.ts';
export { searchedLayers } from './model/graph.ts';
export type { SelfTestResult } from './selfTest/selfTest.ts';
export type { Runner } from './simulate/simulate.ts';
export { accuracy, type Accuracy } from './evaluate/accuracy.ts';
export { compareLogits, type Comparison } from './evaluate/compare.ts';
export type { LogitTable } from './evaluate/logitTable.ts';
export { wilsonInterval } from './evaluate/interval.ts';
