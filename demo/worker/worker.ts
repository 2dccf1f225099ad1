/** The worker: one job at a time, everything that computes. */
import { version } from '../../package.json';
import {
  createSession,
  decodeImage,
  exportOnnx,
  FormatError,
  type DecodedImage,
  type Gpu,
  type Session,
} from '../../src/browser.ts';
import type { DownloadName, Reply, Request } from '../protocol.ts';
import type { TrueCurve } from '../record.ts';
import { Adapter } from './adapter.ts';
import { failureOf } from './failures.ts';
import { testKernels } from './kernelTest.ts';
import { quantize, type FinishedRun } from './quantize.ts';

interface Scope {
  readonly name: string;
  postMessage(reply: Reply): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
}
const scope = globalThis as unknown as Scope;

/** The folder of the page, which gives its address to the worker as its name. */
const BASE = new URL('.', scope.name).href;
const PROGRESS_EVERY_MS = 80;
/** After these no progress is told that was held back. */
const ENDS: ReadonlySet<Reply['kind']> = new Set(['result', 'curve', 'failed', 'cancelled']);

const adapter = new Adapter();
/** Jobs under way that can be cancelled. */
const underWay = new Map<'quantize' | 'curve', AbortController>();
let finished: FinishedRun | undefined;
/** Of the finished run. */
let trueCurves: readonly TrueCurve[] = [];
/** What pictures are classified by: the session of the run, or that of a file that was opened. */
let classifier: { readonly session: Session; readonly gpu: Gpu } | undefined;
let lastProgress = { stage: '', at: 0 };
/** Tells the last progress that was held back. */
let later: ReturnType<typeof setTimeout> | undefined;

function tell(reply: Reply): void {
  if (reply.kind === 'progress' || reply.kind === 'curve-progress') {
    clearTimeout(later);
    const now = performance.now();
    const stage = reply.kind === 'progress' ? reply.stage : reply.kind;
    const early = stage === lastProgress.stage ? lastProgress.at + PROGRESS_EVERY_MS - now : 0;
    if (early > 0) {
      later = setTimeout(() => tell(reply), early);
      return;
    }
    lastProgress = { stage, at: now };
  }
  if (ENDS.has(reply.kind)) clearTimeout(later);
  scope.postMessage(reply);
}

scope.onmessage = ({ data }) => {
  if (data.kind === 'cancel') {
    underWay.get(data.job)?.abort();
    return;
  }
  void answer(data);
};

async function answer(request: Exclude<Request, { kind: 'cancel' }>): Promise<void> {
  const control = new AbortController();
  const job = request.kind === 'quantize' || request.kind === 'curve' ? request.kind : undefined;
  if (job === 'quantize') underWay.get('curve')?.abort();
  if (job) underWay.set(job, control);
  try {
    await perform(request, control.signal);
  } catch (error) {
    const cause = await adapter.causeOf(error);
    if (job && control.signal.aborted && error === control.signal.reason) tell({ kind: 'cancelled', job });
    else tell({ kind: 'failed', during: request.kind, failure: failureOf(cause) });
  } finally {
    if (job && underWay.get(job) === control) underWay.delete(job);
  }
}

async function perform(request: Exclude<Request, { kind: 'cancel' }>, signal: AbortSignal): Promise<void> {
  switch (request.kind) {
    case 'hello': {
      const gpu = await adapter.open();
      return tell({ kind: 'adapter', adapter: gpu.adapter });
    }
    case 'quantize': {
      release();
      adapter.dropFailed();
      const { model, photos, settings } = request;
      finished = await quantize(await adapter.open(), { model, photos, settings, base: BASE, signal, tell });
      classifier = finished;
      return tellVerdict(finished);
    }
    case 'open':
      return openModelFile(request.file);
    case 'classify':
      return classify(request.image, request.name);
    case 'download':
      return tell(await download(request.name));
    case 'curve': {
      const run = finishedRun();
      const { layer, operand } = request;
      const { trueCurve } = await import('./trueCurve.ts');
      const curve = await trueCurve(await adapter.open(), run, layer, operand, {
        signal,
        onProgress: ({ done, total, remainingMs }) =>
          tell({ kind: 'curve-progress', share: done / total, remainingMs: remainingMs ?? null }),
      });
      signal.throwIfAborted(); // by another run
      trueCurves = [
        ...trueCurves.filter((each) => each.layer !== layer || each.operand !== operand),
        { layer, operand, curve },
      ];
      return tell({ kind: 'curve', layer, operand, curve });
    }
    case 'attention': {
      const run = finishedRun();
      const image = run.images[request.image];
      if (!image) throw new RangeError(`the run has no picture ${request.image}`);
      const { attentionMaps } = await import('./attention.ts');
      const maps = await attentionMaps(run.gpu, run.model, run.engine, image);
      return tell({ kind: 'attention', image: request.image, maps });
    }
  }
}

/** Tests the kernels when the result is there, which need not wait for it. */
async function tellVerdict({ gpu, record }: FinishedRun): Promise<void> {
  if (record.selfTest) return;
  const verdict = await testKernels(gpu);
  if (finished?.gpu !== gpu) return;
  finished = { ...finished, record: { ...finished.record, selfTest: verdict } };
  tell({ kind: 'self-test', verdict });
}

/** Gives back what the device holds of the last run. */
function release(): void {
  classifier?.session.destroy();
  if (finished && finished.session !== classifier?.session) finished.session.destroy();
  finished = undefined;
  trueCurves = [];
  classifier = undefined;
}

async function openModelFile(file: File): Promise<void> {
  const gpu = await adapter.open();
  const bytes = new Uint8Array(await file.arrayBuffer());
  const session = await createSession(gpu.device, bytes, { file: file.name });
  if (classifier && classifier.session !== finished?.session) classifier.session.destroy();
  classifier = { session, gpu };
  tell({ kind: 'opened', file: file.name, architecture: session.model.architecture.name, bytes: bytes.length });
}

async function classify(image: File | ImageBitmap, name: string): Promise<void> {
  if (!classifier) throw new FormatError('There is no integer model yet: quantize one or open a model file.');
  const decoded =
    image instanceof ImageBitmap ? pixelsOf(image) : await decodeImage(new Uint8Array(await image.arrayBuffer()), name);
  const began = performance.now();
  const { top } = await classifier.session.classify(decoded, { top: 5 });
  tell({ kind: 'classified', name, top, ms: performance.now() - began });
}

/** A frame of the camera. */
function pixelsOf(bitmap: ImageBitmap): DecodedImage {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser cannot draw in a worker');
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  return { width, height, data };
}

function finishedRun(): FinishedRun {
  if (!finished) throw new FormatError('There is no result yet: quantize a model first.');
  return finished;
}

async function download(name: DownloadName): Promise<Reply> {
  const run = finishedRun();
  const file = (fileName: string, type: string, content: BlobPart): Reply => {
    return { kind: 'file', file: fileName, type, content: new Blob([content], { type }) };
  };
  switch (name) {
    case 'model':
      return file('model.twinshift.safetensors', 'application/octet-stream', run.modelFile as BlobPart);
    case 'recipe':
      return file('recipe.json', 'application/json', run.recipeText);
    case 'weights':
      return file('weights.safetensors', 'application/octet-stream', run.weights as BlobPart);
    case 'run': {
      const { runFile } = await import('./runFile.ts');
      return file('recipe.run.json', 'application/json', runFile(run));
    }
    case 'report': {
      const { reportFile } = await import('./report.ts');
      return file('report.html', 'text/html', await reportFile(run, BASE));
    }
    case 'onnx': {
      const { recipe, weights } = run;
      const onnx = await exportOnnx({ recipe, weights, weightsFile: 'weights.safetensors', version });
      return file('model.onnx', 'application/octet-stream', onnx as BlobPart);
    }
    case 'record':
      return file('twinshift-demo-run.json', 'application/json', JSON.stringify({ ...run.record, trueCurves }));
  }
}
