/** What is to be quantized, how far it is, and what went wrong. */
import { byId, element, show } from '../dom.ts';
import type { Failure } from '../protocol.ts';
import { smaller } from '../settings.ts';
import type { State } from '../state.ts';
import { durationText } from '../text.ts';

export interface StartActions {
  readonly retry: () => void;
  readonly retrySmaller: () => void;
}

const HINTS: Readonly<Record<Failure['kind'], string>> = {
  'no-webgpu': '',
  'device-lost': 'The page has let go of it and opens a new one when you try again; nothing has to be reloaded.',
  memory:
    'The memory of this device did not do. Fewer images and smaller models need less; nothing has to be reloaded.',
  input: 'Mend what is named, or choose other files.',
  hub: 'Check the name and the connection. A model that asks for a token can be fetched elsewhere and given as files.',
  program: 'Try again; if it stays, this is an error of the program.',
};

export function drawStart(state: State, actions: StartActions): void {
  const { running, share, stage, detail, remainingMs, gpu, failure, notes } = state;
  byId('adapter').textContent = gpu === 'none' ? 'No GPU to compute with; a recorded run is shown.' : state.adapterText;
  show(byId('no-webgpu'), gpu === 'none');
  for (const id of ['quantize', 'classify']) show(byId(id), gpu !== 'none');
  byId('no-webgpu-reason').textContent = gpu === 'none' ? state.adapterText : '';
  byId('start-what').textContent = whatText(state);
  const start = byId<HTMLButtonElement>('start');
  const isSample = state.model.kind === 'sample' && !state.photos;
  start.textContent = running ? 'Quantizing …' : isSample ? 'Quantize the sample model' : 'Quantize';
  start.disabled = running || gpu !== 'ready';
  show(byId('cancel'), running);
  show(byId('progress'), running);
  byId('stage').textContent = stage;
  const bar = byId<HTMLProgressElement>('bar');
  if (share === null) bar.removeAttribute('value');
  else bar.value = share;
  byId('remaining').textContent =
    remainingMs === null ? detail : `about ${durationText(remainingMs)} left of the quantization`;
  drawFailure(state, failure, actions);
  const list = byId('notes');
  show(list, notes.length > 0);
  if (notes !== drawnNotes) list.replaceChildren(...notes.map((note) => element('li', {}, note)));
  drawnNotes = notes;
  const own = state.model.kind !== 'sample' || state.photos !== null;
  byId('chosen').textContent = own ? whatText(state) : '';
  show(byId('forget'), own);
}

function whatText({ model, photos, settings }: State): string {
  const network =
    model.kind === 'sample'
      ? 'The sample, a small vision transformer that tells sixteen shapes apart,'
      : model.kind === 'hub'
        ? `The model ${model.name} of the hub`
        : `The model of ${model.files.map(({ name }) => name).join(', ')}`;
  const count = Math.min(settings.calibrationImages, photos?.length ?? 32);
  const pictures = photos ? `of your ${photos.length} photos` : 'unlabelled pictures that come with it';
  return `${network} is quantized on ${count} ${pictures}, and compared with float afterwards.`;
}

let drawn: Failure | null = null;
let drawnNotes: readonly string[] = [];

function drawFailure({ settings, photos, canRetry }: State, failure: Failure | null, actions: StartActions): void {
  if (failure === drawn) return; // an alert is read out whenever it changes
  drawn = failure;
  const box = byId('failure');
  show(box, failure !== null);
  if (!failure) return box.replaceChildren();
  const parts: HTMLElement[] = [element('p', {}, failure.message), element('p', {}, HINTS[failure.kind])];
  const buttons = element('div', { class: 'actions' });
  if (canRetry && failure.kind !== 'memory' && failure.kind !== 'input') {
    buttons.append(button('Try again', actions.retry));
  }
  const isShort = failure.kind === 'memory' || failure.kind === 'device-lost';
  const less = canRetry && isShort ? smaller(settings, photos?.length) : undefined;
  if (less) {
    const images = less.calibrationImages === 1 ? '1 image' : `${less.calibrationImages} images`;
    const counts = `${images} to calibrate with, ${less.evaluationImages} to compare on`;
    buttons.append(button(`Try again with ${counts}`, actions.retrySmaller));
  }
  box.replaceChildren(...parts, ...(buttons.childElementCount > 0 ? [buttons] : []));
  box.scrollIntoView({ block: 'nearest' }); // what failed may be further down
}

function button(text: string, action: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button' }, text);
  made.addEventListener('click', action);
  return made;
}
