/** What came out: figures, pictures with both predictions, attention. */
import type { RankedClass } from '../../src/index.ts';
import { byId, element, show, terms } from '../dom.ts';
import type { AttentionMap } from '../protocol.ts';
import { adapterName, type ImageResult, type RunRecord } from '../record.ts';
import type { State } from '../state.ts';
import { bytesText, decibels, durationText, percent, significant } from '../text.ts';

/** Pictures that are drawn, at most. */
const MOST_PICTURES = 64;

let drawnRecord: RunRecord | null = null;
let drawnDifferent = false;

export function drawResult(state: State, onAttention: (image: number) => void): void {
  const { record, recorded } = state;
  show(byId('result'), record !== null);
  show(byId('take'), record !== null && !recorded);
  const onlyDifferent = byId<HTMLInputElement>('only-different').checked;
  if (record && (record !== drawnRecord || onlyDifferent !== drawnDifferent)) {
    byId('figures').replaceChildren(...terms(figures(record)));
    show(byId('recorded'), recorded);
    byId('recorded').textContent = recorded
      ? `A recorded run: ${record.settings.calibrationImages} pictures on ${adapterName(record.adapter)}, by ${record.writtenBy}.`
      : '';
    drawPictures(state, record, onlyDifferent, onAttention);
  }
  drawnRecord = record;
  drawnDifferent = onlyDifferent;
  drawAttention(state);
}

function figures(record: RunRecord): (readonly [string, string, string?])[] {
  const { comparison, bytes, imagesPerSecond: speed, selfTest } = record;
  const { agreement, top1, floatTop1, klDivergence, logitSqnrDb, images } = comparison;
  const accuracy: [string, string, string][] =
    top1 === null || floatTop1 === null
      ? []
      : [['Right predictions', `${percent(floatTop1)} → ${percent(top1)}`, 'float → integers']];
  const verdict = selfTest.failed.length === 0 ? 'passed' : `failed: ${selfTest.failed.join(', ')}`;
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
    ['Self-test', verdict, `${selfTest.passed} of ${selfTest.total} kernels give the numbers of their twins`],
  ];
}

function drawPictures(
  state: State,
  record: RunRecord,
  onlyDifferent: boolean,
  onAttention: (image: number) => void,
): void {
  const all = record.images.map((image, index) => ({ image, index }));
  const shown = onlyDifferent ? all.filter(({ image }) => differs(image)) : all;
  const drawn = shown.slice(0, MOST_PICTURES);
  const canAttend = !state.recorded;
  byId('pictures').replaceChildren(
    ...drawn.map(({ image, index }) =>
      pictureItem(image, state.pictures[index] ?? '', canAttend && (() => onAttention(index))),
    ),
  );
  const different = all.filter(({ image }) => differs(image)).length;
  const left = shown.length - drawn.length;
  byId('pictures-more').textContent =
    `${different === 0 ? 'Float and integers agree on every picture.' : `They differ on ${different} of ${all.length} pictures.`}` +
    (left > 0 ? ` ${left} more are not drawn.` : '');
}

function differs({ float, integer }: ImageResult): boolean {
  return float.index !== integer.index;
}

function pictureItem(image: ImageResult, address: string, onAttention: false | (() => void)): HTMLElement {
  const line = (name: string, found: RankedClass) =>
    element(
      'p',
      {},
      element('span', { class: 'network' }, name),
      ` ${classText(found)} ${percent(found.probability, 0)}`,
    );
  const item = element(
    'li',
    { class: differs(image) ? 'different' : false },
    element('img', { src: address, alt: image.file, loading: 'lazy' }),
    line('float', image.float),
    line('integers', image.integer),
    element('p', { class: 'difference' }, `${differs(image) ? '≠ ' : ''}logits ± ${significant(image.difference, 2)}`),
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

let drawnAttention: State['attention'] = null;

function drawAttention({ attention, record, pictures }: State): void {
  show(byId('attention'), attention !== null);
  if (attention === drawnAttention || !attention || !record) return;
  drawnAttention = attention;
  const name = record.images[attention.image]?.file ?? '';
  byId('attention-title').textContent = `Attention on ${name}`;
  const target = byId('attention-maps');
  if (!attention.maps) return target.replaceChildren(element('p', { role: 'status' }, 'Computing …'));
  if (attention.maps.length === 0) {
    return target.replaceChildren(
      element('p', {}, 'This network has no square map of a first token (it attends in windows).'),
    );
  }
  target.replaceChildren(
    element('img', { src: pictures[attention.image] ?? '', alt: name }),
    ...attention.maps.map(attentionRow),
  );
  byId('attention-title').focus();
}

function attentionRow({ block, side, float, integer }: AttentionMap): HTMLElement {
  const difference = float.map((value, i) => Math.abs(value - (integer[i] as number)));
  const top = Math.max(...float, ...integer);
  const worst = Math.max(...difference);
  return element(
    'figure',
    {},
    element('figcaption', {}, `${block}: largest difference ${significant(worst, 2)} of ${significant(top, 2)}`),
    element(
      'div',
      { class: 'maps' },
      heat(`${block}, float`, float, side, top),
      heat(`${block}, integers`, integer, side, top),
      heat(`${block}, difference`, difference, side, worst),
    ),
  );
}

function heat(name: string, values: Float32Array, side: number, top: number): HTMLCanvasElement {
  const canvas = element('canvas', { width: side, height: side, role: 'img', 'aria-label': name });
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const pixels = context.createImageData(side, side);
  values.forEach((value, i) => {
    const share = top === 0 ? 0 : value / top;
    pixels.data.set([255 * Math.min(1, 1.6 * share), 255 * share ** 1.4, 60 + 120 * share * (1 - share), 255], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}
