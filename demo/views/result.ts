/** What came out: figures, and pictures with both predictions. */
import type { RankedClass } from '../../src/index.ts';
import { byId, element, show, terms } from '../dom.ts';
import { adapterName, type ImageResult, type RunRecord, type SelfTestVerdict } from '../record.ts';
import type { State } from '../state.ts';
import { bytesText, decibels, durationText, percent, significant } from '../text.ts';
import { drawAttention } from './attention.ts';
import { addRun } from './runs.ts';

/** Pictures that are drawn at first, and at most. */
const FIRST_PICTURES = 12;
const MOST_PICTURES = 256;

let drawnRecord: RunRecord | null = null;
let drawnDifferent = false;
let drawnVerdict: SelfTestVerdict | null = null;

export function drawResult(state: State, onAttention: (image: number) => void): void {
  const { record, recorded, selfTest } = state;
  show(byId('result'), record !== null);
  show(byId('take'), record !== null && !recorded);
  const onlyDifferent = byId<HTMLInputElement>('only-different').checked;
  if (record && (record !== drawnRecord || selfTest !== drawnVerdict)) {
    byId('figures').replaceChildren(...terms(figures(record, selfTest)));
  }
  if (record && (record !== drawnRecord || onlyDifferent !== drawnDifferent)) {
    show(byId('recorded'), recorded);
    byId('recorded').textContent = recorded
      ? `A recorded run: ${record.settings.calibrationImages} pictures on ${adapterName(record.adapter)}, by ${record.writtenBy}.`
      : '';
    if (record !== drawnRecord && !recorded) addRun(record);
    drawPictures(state, record, onlyDifferent, onAttention);
  }
  drawnRecord = record;
  drawnDifferent = onlyDifferent;
  drawnVerdict = selfTest;
  drawAttention(state);
}

function figures(record: RunRecord, selfTest: SelfTestVerdict | null): (readonly [string, string, string?])[] {
  const { comparison, bytes, imagesPerSecond: speed } = record;
  const { agreement, top1, floatTop1, klDivergence, logitSqnrDb, images } = comparison;
  const accuracy: [string, string, string][] =
    top1 === null || floatTop1 === null
      ? []
      : [['Right predictions', `${percent(floatTop1)} → ${percent(top1)}`, 'float → integers']];
  return [
    ['Agreement', percent(agreement), `${Math.round(agreement * images)} of ${images} pictures`],
    ...accuracy,
    [
      'Bytes',
      `${bytesText(bytes.float)} → ${bytesText(bytes.integer)}`,
      `${(bytes.float / bytes.integer).toFixed(1)} times smaller`,
    ],
    [
      'Images per second',
      `${significant(speed.float)} → ${significant(speed.integer)}`,
      'float → integers, 8 together, on this adapter',
    ],
    [
      'Logits',
      logitSqnrDb === null ? 'equal' : decibels(logitSqnrDb),
      `signal over noise; KL ${significant(klDivergence)}`,
    ],
    [
      'Bits',
      `W${significant(record.meanWeightBits)} A${significant(record.meanActivationBits)}`,
      'mean of weights and activations',
    ],
    ['Time', durationText(record.quantizeMs), `to quantize on ${record.calibrationImages} pictures`],
    verdictRow(selfTest),
  ];
}

function verdictRow(verdict: SelfTestVerdict | null): [string, string, string] {
  if (!verdict) return ['Self-test', '…', 'every kernel is being compared with its twin on this adapter'];
  const { passed, total, failed } = verdict;
  const text = failed.length === 0 ? 'passed' : `failed: ${failed.join(', ')}`;
  return ['Self-test', text, `${passed} of ${total} kernels give the numbers of their twins`];
}

/** Those on which both differ come first; the rest is drawn when it is asked for. */
function drawPictures(
  state: State,
  record: RunRecord,
  onlyDifferent: boolean,
  onAttention: (image: number) => void,
): void {
  const all = record.images.map((image, index) => ({ image, index }));
  const different = all.filter(({ image }) => differs(image));
  const shown = onlyDifferent ? different : [...different, ...all.filter(({ image }) => !differs(image))];
  const canAttend = !state.recorded;
  const items = (from: number, to: number) =>
    shown
      .slice(from, to)
      .map(({ image, index }) =>
        pictureItem(image, state.pictures[index] ?? '', canAttend && (() => onAttention(index))),
      );
  byId('pictures').replaceChildren(...items(0, FIRST_PICTURES));
  const count = different.length;
  byId('pictures-more').textContent =
    count === 0 ? 'Float and integers agree on every picture.' : `They differ on ${count} of ${all.length} pictures.`;
  const most = Math.min(shown.length, MOST_PICTURES);
  const button = byId<HTMLButtonElement>('pictures-all');
  show(button, most > FIRST_PICTURES);
  button.textContent = `Show ${most === all.length ? 'all ' : ''}${most} pictures`;
  button.onclick = () => {
    const rest = items(FIRST_PICTURES, most);
    byId('pictures').append(...rest);
    show(button, false);
    const [next] = rest;
    if (!next) return;
    next.tabIndex = -1; // the button that had the focus is gone
    next.focus();
  };
}

function differs({ float, integer }: ImageResult): boolean {
  return float.index !== integer.index;
}

function pictureItem(image: ImageResult, address: string, onAttention: false | (() => void)): HTMLElement {
  const line = (name: string, found: RankedClass) =>
    element(
      'p',
      { class: 'prediction' },
      element('span', { class: 'network' }, name),
      element('span', {}, classText(found)),
      element('span', {}, percent(found.probability, 0)),
    );
  const item = element(
    'li',
    { class: differs(image) ? 'different' : false },
    element('img', { src: address, alt: image.file, loading: 'lazy' }),
    line('float', image.float),
    line('int', image.integer),
    element(
      'p',
      { class: 'difference' },
      `${differs(image) ? '≠ ' : ''}logits within ${significant(image.difference, 2)}`,
    ),
  );
  if (onAttention) {
    const button = element(
      'button',
      { type: 'button', class: 'small', 'aria-label': `Attention of ${image.file}` },
      'Attention',
    );
    button.addEventListener('click', onAttention);
    item.append(button);
  }
  return item;
}

export function classText({ label, index }: RankedClass): string {
  return label ?? `class ${index}`;
}
