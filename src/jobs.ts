/** The jobs of the library, for `index.ts`. The modules of a job are loaded when it is first called. */
import type * as calibration from './calibrate/calibrate.ts';
import type * as curves from './calibrate/layerCurve.ts';
import type * as exporting from './export/exportModel.ts';
import type * as onnx from './export/onnx/exportOnnx.ts';
import type { IntegerModel } from './format/model.ts';
import type { Gpu } from './gpu/device.ts';
import type * as loading from './model/load.ts';
import type * as files from './model/modelFiles.ts';
import type * as references from './infer/referenceEngine.ts';
import type * as sessions from './infer/session.ts';
import type * as fetching from './model/fetchModel.ts';
import type { SelfTestResult } from './selfTest/selfTest.ts';
import type * as simulation from './simulate/simulate.ts';

/** Reads a float model in any layout: `loadModel` of model/load.ts. */
export const loadModel: typeof loading.loadModel = async (...job) => {
  return (await import('./model/load.ts')).loadModel(...job);
};

/** Reads a float model from its files wherever they lie, shards included: `loadModelFiles` of model/modelFiles.ts. */
export const loadModelFiles: typeof files.loadModelFiles = async (...job) => {
  return (await import('./model/modelFiles.ts')).loadModelFiles(...job);
};

/** Searches the quantizers of every layer on unlabelled images: `calibrate` of calibrate/calibrate.ts. */
export const calibrate: typeof calibration.calibrate = async (...job) => {
  return (await import('./calibrate/calibrate.ts')).calibrate(...job);
};

/** Every metric and the true loss over the candidate scales of a layer: `layerCurve` of calibrate/layerCurve.ts. */
export const layerCurve: typeof curves.layerCurve = async (...job) => {
  return (await import('./calibrate/layerCurve.ts')).layerCurve(...job);
};

/** The integer model of a recipe: `exportModel` of export/exportModel.ts. */
export const exportModel: typeof exporting.exportModel = async (...job) => {
  return (await import('./export/exportModel.ts')).exportModel(...job);
};

/**
 * The quantize-dequantize model of a recipe as ONNX: `exportOnnx` of export/onnx/exportOnnx.ts.
 *
 * @throws ExportError naming what ONNX has no form for
 * @throws FormatError when the recipe's config or the weights are malformed
 */
export async function exportOnnx(input: onnx.OnnxInput): Promise<Uint8Array> {
  return (await import('./export/onnx/exportOnnx.ts')).exportOnnx(input);
}

/** The float network of a model: `createFloatRunner` of simulate/simulate.ts. */
export const createFloatRunner: typeof simulation.createFloatRunner = async (...job) => {
  return (await import('./simulate/simulate.ts')).createFloatRunner(...job);
};

/** The network under a recipe: `createSimulation` of simulate/simulate.ts. */
export const createSimulation: typeof simulation.createSimulation = async (...job) => {
  return (await import('./simulate/simulate.ts')).createSimulation(...job);
};

/** Uploads a model file and prepares to run it: `createSession` of infer/session.ts. */
export const createSession: typeof sessions.createSession = async (...job) => {
  return (await import('./infer/session.ts')).createSession(...job);
};

/**
 * The integer engine in plain TypeScript: `createReferenceEngine` of infer/referenceEngine.ts.
 *
 * @throws FormatError what `readModelFile` refuses
 */
export async function createReferenceEngine(bytes: Uint8Array, file?: string): Promise<references.ReferenceEngine> {
  return (await import('./infer/referenceEngine.ts')).createReferenceEngine(bytes, file);
}

/**
 * Reads a model file with every check: `readModelFile` of format/readModelFile.ts.
 *
 * @param file names it in errors
 * @throws FormatError naming what is wrong
 */
export async function readModelFile(bytes: Uint8Array, file: string): Promise<IntegerModel> {
  return (await import('./format/readModelFile.ts')).readModelFile(bytes, file);
}

/**
 * The bytes of a model file: `writeModelFile` of format/writeModelFile.ts.
 *
 * @throws FormatError when `readModelFile` would refuse them
 */
export async function writeModelFile(model: IntegerModel): Promise<Uint8Array> {
  return (await import('./format/writeModelFile.ts')).writeModelFile(model);
}

/** Fetches a float model of the Hugging Face hub and reads it: `fetchModel` of model/fetchModel.ts. */
export const fetchModel: typeof fetching.fetchModel = async (...job) => {
  return (await import('./model/fetchModel.ts')).fetchModel(...job);
};

/** Compares every kernel with its twin on this device: `selfTest` of selfTest/selfTest.ts. */
export async function selfTest(gpu: Gpu): Promise<readonly SelfTestResult[]> {
  return (await import('./selfTest/selfTest.ts')).selfTest(gpu);
}
