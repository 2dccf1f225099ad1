/** The page: keeps the state, draws it, and passes on what a person does. */
import { startWorker } from './client.ts';
import { byId } from './dom.ts';
import { droppedFiles, sortFiles } from './files.ts';
import type { DownloadName, Operand, Reply } from './protocol.ts';
import type { RunRecord } from './record.ts';
import { sampleFile, sampleImages } from './sample.ts';
import { connectSettings } from './settingsForm.ts';
import { smaller } from './settings.ts';
import { after, begun, INITIAL, withRecording, type State } from './state.ts';
import { connectClassify } from './views/classify.ts';
import { connectCharts, connectKernels, drawLayers } from './views/layers.ts';
import { drawResult } from './views/result.ts';
import { drawStart } from './views/start.ts';

let state: State = INITIAL;
let isDrawing = false;

/** Draws once a frame, however often the state changes. */
function change(next: State): void {
  state = next;
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}

function draw(): void {
  drawStart(state, { retry: quantize, retrySmaller: quantizeLess });
  drawResult(state, askAttention);
  drawLayers(state, { select, askCurve, cancelCurve: () => client.send({ kind: 'cancel', job: 'curve' }) });
  classifying.draw(state);
}

const client = startWorker(hear);
const classifying = connectClassify(client, (message) => change({ ...state, failure: { kind: 'input', message } }));
const writeSettings = connectSettings((settings) => change({ ...state, settings }));

function hear(reply: Reply): void {
  if (reply.kind === 'file') return save(reply.file, reply.content);
  if (reply.kind === 'classified') return classifying.classified(reply);
  if (reply.kind === 'failed' && reply.during === 'classify') classifying.failed();
  const addresses = reply.kind === 'result' ? reply.pictures.map((picture) => URL.createObjectURL(picture)) : [];
  change(after(state, reply, addresses));
  if (reply.kind === 'result') draw();
  if (reply.kind === 'result') byId('result-title').focus({ preventScroll: true });
  if (reply.kind === 'failed' && reply.failure.kind === 'no-webgpu') void showRecording();
}

function quantize(): void {
  for (const address of state.pictures) URL.revokeObjectURL(address);
  const { model, photos, settings } = state;
  change(begun(state));
  client.send({ kind: 'quantize', model, photos, settings });
}

function quantizeLess(): void {
  const settings = smaller(state.settings, state.photos?.length) ?? state.settings;
  writeSettings(settings);
  change({ ...state, settings });
  quantize();
}

function select(name: string): void {
  change({ ...state, selectedLayer: name });
  draw();
  byId('layer-title').focus({ preventScroll: true });
  byId('layer').scrollIntoView({ block: 'nearest' });
}

function askCurve(layer: string, operand: Operand): void {
  change({ ...state, curving: { layer, operand, share: 0, remainingMs: null } });
  client.send({ kind: 'curve', layer, operand });
}

function askAttention(image: number): void {
  change({ ...state, attention: { image, maps: null } });
  client.send({ kind: 'attention', image });
}

function save(name: string, content: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What was given takes the place of the sample; a model file is opened at once. */
function take(files: readonly File[]): void {
  const { model, photos, modelFile } = sortFiles(files);
  if (modelFile) client.send({ kind: 'open', file: modelFile });
  const next = {
    ...(model.length > 0 ? { model: { kind: 'files' as const, files: model } } : {}),
    ...(photos.length > 0 ? { photos } : {}),
  };
  const nothing = !modelFile && model.length === 0 && photos.length === 0;
  const failure = nothing
    ? {
        kind: 'input' as const,
        message: 'None of these files is a model or a photo (.json, .safetensors, .jpg, .png, .webp).',
      }
    : null;
  change({ ...state, ...next, failure });
}

async function showRecording(): Promise<void> {
  const record = JSON.parse(new TextDecoder().decode(await sampleFile(document.baseURI, 'recorded.json'))) as RunRecord;
  const images = await sampleImages(document.baseURI, 'eval', record.images.length);
  change(
    withRecording(
      state,
      record,
      images.map(({ content }) => URL.createObjectURL(content)),
    ),
  );
}

function connect(): void {
  byId('start').addEventListener('click', quantize);
  byId('cancel').addEventListener('click', () => client.send({ kind: 'cancel', job: 'quantize' }));
  for (const id of ['model-files', 'model-folder', 'photos']) {
    const input = byId<HTMLInputElement>(id);
    input.addEventListener('change', () => {
      take([...(input.files ?? [])]);
      input.value = '';
    });
  }
  const hub = byId<HTMLInputElement>('hub');
  hub.addEventListener('change', () => {
    const name = hub.value.trim();
    change({ ...state, model: name === '' ? { kind: 'sample' } : { kind: 'hub', name } });
  });
  byId('forget').addEventListener('click', () => {
    hub.value = '';
    change({ ...state, model: { kind: 'sample' }, photos: null, failure: null });
  });
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer) {
      droppedFiles(event.dataTransfer.items).then(take, (error: Error) => {
        const message = `What was dropped cannot be read: ${error.message}`;
        change({ ...state, failure: { kind: 'input', message }, canRetry: false });
      });
    }
  });
  const open = byId<HTMLInputElement>('open-file');
  open.addEventListener('change', () => {
    const [file] = open.files ?? [];
    if (file) client.send({ kind: 'open', file });
    open.value = '';
  });
  byId('only-different').addEventListener('change', () => change({ ...state }));
  byId('downloads').addEventListener('click', ({ target }) => {
    const name = (target as HTMLElement).dataset['download'];
    if (name !== undefined) client.send({ kind: 'download', name: name as DownloadName });
  });
  connectKernels();
  connectCharts();
  draw();
  client.send({ kind: 'hello' });
}

connect();
