/** The whole way of a model in the tab: read, calibrate, export, compare. */
import { version } from '../../package.json';
import {
  calibrate,
  calibrationOptions,
  createReferenceEngine,
  createSession,
  exportModel,
  parseRecipe,
  quantizedWeightsFile,
  recipeText,
  searchedLayers,
  writeModelFile,
  type CalibrationImage,
  type CalibrationResult,
  type Gpu,
  type Model,
  type Recipe,
  type ReferenceEngine,
  type Session,
} from '../../src/index.ts';
import type { ModelSource, Reply } from '../protocol.ts';
import type { LayerResult, RunRecord } from '../record.ts';
import { nonlinearOf, overridesOf, type Settings } from '../settings.ts';
import { bytesText } from '../text.ts';
import { evaluate } from './evaluate.ts';
import { knownVerdict } from './kernelTest.ts';
import { choosePictures, decodePictures, readModel } from './sources.ts';

/** What is kept of a run for downloads, attention maps and more pictures. */
export interface FinishedRun extends Pick<CalibrationResult, 'prepared' | 'stages' | 'candidates' | 'peakDeviceBytes'> {
  readonly gpu: Gpu;
  readonly model: Model;
  readonly session: Session;
  readonly engine: ReferenceEngine;
  /** The pictures of the comparison. */
  readonly images: readonly CalibrationImage[];
  /** Those that were calibrated with, and the class of each where it is known. */
  readonly calibration: readonly { readonly image: CalibrationImage; readonly label: number | null }[];
  /** Names of pictures that could not be decoded. */
  readonly skipped: readonly string[];
  readonly modelFile: Uint8Array;
  readonly weights: Uint8Array;
  /** As the file of it is read. */
  readonly recipe: Recipe;
  readonly recipeText: string;
  readonly record: RunRecord;
}

/** With fewer photos the page says so. */
const FEW_PHOTOS = 16;

export interface QuantizeJob {
  readonly model: ModelSource;
  readonly photos: readonly File[] | null;
  readonly settings: Settings;
  readonly base: string;
  readonly signal: AbortSignal;
  readonly tell: (reply: Reply) => void;
}

const WRITTEN_BY = `twinshift ${version}`;

/** Runs the job and tells of every step; the last thing told is its result. */
export async function quantize(gpu: Gpu, job: QuantizeJob): Promise<FinishedRun> {
  const { settings, signal, tell } = job;
  const progress = (stage: string, share: number | null, remainingMs: number | null = null) =>
    tell({ kind: 'progress', stage, share, remainingMs });
  const onNote = (text: string) => tell({ kind: 'note', text });
  const started = performance.now();

  progress('reading the model', null);
  const onBytes = (done: number, total: number) => {
    const detail = `${bytesText(done)} of ${bytesText(total)}`;
    tell({ kind: 'progress', stage: 'fetching the model', share: done / total, remainingMs: null, detail });
  };
  const { model, bytes: floatBytes, name } = await readModel(job.model, job.base, { signal, onBytes, onNote });
  const { calibration, evaluation } = await choosePictures(job.photos, settings, job.base);
  const decode = (stage: string, pictures: typeof calibration) =>
    decodePictures(pictures, model, { signal, onNote }, (done) => progress(stage, done / pictures.length));
  const seen = await decode('decoding pictures to calibrate with', calibration);
  if (job.photos && seen.length < FEW_PHOTOS) {
    onNote(
      `Only ${seen.length} photos to calibrate with: others may leave the ranges found. ${FEW_PHOTOS} or more are better.`,
    );
  }
  const compared = job.photos
    ? await decode('decoding pictures', evaluation)
    : await decode('decoding pictures to compare on', evaluation);

  tell({ kind: 'started', layers: searchedLayers(model.network).map((layer) => layer.name) });
  const reports = new Map<string, LayerResult>();
  const options = calibrationOptions('fast', overridesOf(settings));
  const result = await calibrate(
    gpu,
    model,
    seen.map(({ image }) => image),
    options,
    {
      signal,
      onProgress: ({ stage, done, total, remainingMs }) =>
        progress(`quantizing: ${stage}`, done / total, remainingMs ?? null),
      onLayer(report, layer) {
        reports.set(report.name, { report, layer });
        tell({ kind: 'layer', report, layer });
      },
    },
  );
  progress('writing the integer model', null);
  const weights = quantizedWeightsFile(result);
  const text = recipeText(result.recipe);
  const recipe = parseRecipe(text, 'recipe.json'); // as whoever reads the file has it: the same bytes of a model file
  const integers = await exportModel({
    recipe,
    recipeText: text,
    weights,
    weightsFile: 'weights.safetensors',
    writtenBy: WRITTEN_BY,
    nonlinear: nonlinearOf(settings),
  });
  const modelFile = await writeModelFile(integers);
  const quantizeMs = performance.now() - started;

  progress('preparing the integer kernels', null);
  const session = await createSession(gpu.device, modelFile);
  try {
    const evaluated = await evaluate(gpu, model, session, compared, signal, (done) =>
      progress('comparing integers with float', done / compared.length),
    );
    signal.throwIfAborted();
    gpu.check();
    const record: RunRecord = {
      format: 'twinshift-demo-run',
      version: 1,
      writtenBy: WRITTEN_BY,
      adapter: gpu.adapter,
      model: { name, architecture: result.recipe.model.architecture },
      settings,
      calibrationImages: seen.length,
      meanWeightBits: result.recipe.meanWeightBits,
      meanActivationBits: result.recipe.meanActivationBits,
      bytes: { float: floatBytes, integer: modelFile.length },
      imagesPerSecond: evaluated.imagesPerSecond,
      quantizeMs,
      comparison: evaluated.comparison,
      images: evaluated.images,
      integerLogits: [...evaluated.integerLogits],
      layers: result.recipe.layers.flatMap(({ name: layer }) => reports.get(layer) ?? []),
      selfTest: knownVerdict(gpu),
    };
    const engine = await createReferenceEngine(modelFile);
    tell({ kind: 'result', record, pictures: compared.map(({ picture }) => picture.content) });
    const images = compared.map(({ image }) => image);
    const { prepared, stages, candidates, peakDeviceBytes } = result;
    return {
      ...{ gpu, model, session, engine, images, modelFile, weights, recipe, recipeText: text, record },
      ...{ prepared, stages, candidates, peakDeviceBytes },
      calibration: seen.map(({ image, picture: { label } }) => ({ image, label })),
      skipped: calibration.filter((picture) => !seen.some((each) => each.picture === picture)).map(({ file }) => file),
    };
  } catch (error) {
    session.destroy();
    throw error;
  }
}
