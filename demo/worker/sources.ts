/** Models and pictures from where the page says that they are. */
import {
  loadModel,
  loadModelFiles,
  fetchModel,
  FormatError,
  readImage,
  type CalibrationImage,
  type Model,
} from '../../src/browser.ts';
import type { ModelSource } from '../protocol.ts';
import { sampleFile, sampleImages, type SampleImage } from '../sample.ts';

export interface LoadedModel {
  readonly model: Model;
  /** Of the weights as stored. */
  readonly bytes: number;
  readonly name: string;
}

export interface SourceControl {
  readonly signal: AbortSignal;
  readonly onBytes: (done: number, total: number) => void;
  readonly onNote: (text: string) => void;
}

/** Reads the float model; errors name the file. */
export async function readModel(source: ModelSource, base: string, control: SourceControl): Promise<LoadedModel> {
  switch (source.kind) {
    case 'sample': {
      const [config, weights] = await Promise.all([
        sampleFile(base, 'config.json'),
        sampleFile(base, 'model.safetensors'),
      ]);
      const model = await loadModel({ configJson: new TextDecoder().decode(config), weights });
      return { model, bytes: weights.length, name: 'sample' };
    }
    case 'hub': {
      let bytes = 0;
      const onBytes = (done: number, total: number) => control.onBytes(done, (bytes = total));
      const { model, repository, revision } = await fetchModel(source.name, { ...control, onBytes });
      return { model, bytes, name: `${repository}@${revision}` };
    }
    case 'files':
      return readFiles(source.files);
  }
}

async function readFiles(given: readonly File[]): Promise<LoadedModel> {
  const byName = new Map(given.map((file) => [file.name, file]));
  const weights = given.filter(({ name }) => name.endsWith('.safetensors'));
  const [only] = weights;
  // whatever the one weights file is called
  if (only && weights.length === 1 && !byName.has('model.safetensors.index.json'))
    byName.set('model.safetensors', only);
  const model = await loadModelFiles({
    names: new Set(byName.keys()),
    read: async (name) => new Uint8Array(await (byName.get(name) as File).arrayBuffer()),
    path: (name) => byName.get(name)?.name ?? name,
  });
  return { model, bytes: weights.reduce((sum, { size }) => sum + size, 0), name: only?.name ?? 'model' };
}

/** A picture of the calibration or of the comparison, before it is decoded. */
export interface Picture {
  readonly file: string;
  readonly content: Blob;
  readonly label: number | null;
}

/** The pictures to calibrate with and to compare on: one's own are both. */
export async function choosePictures(
  photos: readonly File[] | null,
  counts: { readonly calibrationImages: number; readonly evaluationImages: number },
  base: string,
): Promise<{ readonly calibration: readonly Picture[]; readonly evaluation: readonly Picture[] }> {
  if (photos) {
    const own = photos.map((file): Picture => ({ file: file.name, content: file, label: null }));
    return { calibration: own.slice(0, counts.calibrationImages), evaluation: own.slice(0, counts.evaluationImages) };
  }
  const packed = (set: 'calib' | 'eval', count: number): Promise<SampleImage[]> => sampleImages(base, set, count);
  const [calibration, evaluation] = await Promise.all([
    packed('calib', counts.calibrationImages),
    packed('eval', counts.evaluationImages),
  ]);
  return { calibration, evaluation };
}

/** Pictures preprocessed for `model`. One that cannot be decoded is left out, and `onNote` told; without any it is an error. */
export async function decodePictures(
  pictures: readonly Picture[],
  model: Model,
  { signal, onNote }: Pick<SourceControl, 'signal' | 'onNote'>,
  onDone: (done: number) => void,
): Promise<{ readonly picture: Picture; readonly image: CalibrationImage }[]> {
  const decoded: { picture: Picture; image: CalibrationImage }[] = [];
  for (const [i, picture] of pictures.entries()) {
    signal.throwIfAborted();
    const bytes = new Uint8Array(await picture.content.arrayBuffer());
    try {
      decoded.push({ picture, image: await readImage(bytes, picture.file, model.config.preprocessing) });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (pictures.length === 1) throw error;
      onNote(`Left out. ${error.message}`);
    }
    onDone(i + 1);
  }
  if (decoded.length === 0) {
    throw new FormatError('None of the pictures can be read: give JPEG, PNG or WebP files.');
  }
  return decoded;
}
