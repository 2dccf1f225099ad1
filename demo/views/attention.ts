/** Where both networks look in a picture, block by block. */
import { byId, element, show } from '../dom.ts';
import type { AttentionMap } from '../protocol.ts';
import type { State } from '../state.ts';
import { significant } from '../text.ts';

/** Colours from none to the largest, dark to bright, as even to the eye as Matplotlib's inferno, from which they are. */
const RAMP = [
  [0, 0, 4],
  [66, 10, 104],
  [147, 38, 103],
  [221, 81, 58],
  [252, 165, 10],
  [252, 255, 164],
] as const;

let drawn: State['attention'] = null;

export function drawAttention({ attention, record, pictures }: State): void {
  show(byId('attention'), attention !== null);
  if (attention === drawn || !attention || !record) return;
  drawn = attention;
  const name = record.images[attention.image]?.file ?? '';
  byId('attention-title').textContent = `Attention on ${name}`;
  byId('attention-ramp').style.background =
    `linear-gradient(to right, ${RAMP.map((colour) => `rgb(${colour.join()})`).join()})`;
  const target = byId('attention-maps');
  const picture = element('img', { src: pictures[attention.image] ?? '', alt: name });
  if (!attention.maps) return target.replaceChildren(picture, element('p', { role: 'status' }, 'Computing …'));
  if (attention.maps.length === 0) {
    const why = 'This network has no square map of a first token (it attends in windows).';
    return target.replaceChildren(picture, element('p', {}, why));
  }
  target.replaceChildren(picture, element('div', { class: 'attention' }, ...attention.maps.map(attentionRow)));
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
      ...['float', 'integers', 'difference'].map((text) => element('span', { 'aria-hidden': 'true' }, text)),
    ),
  );
}

/** Values from 0 to `top` as the colours of a square. */
function heat(name: string, values: Float32Array, side: number, top: number): HTMLCanvasElement {
  const canvas = element('canvas', { width: side, height: side, role: 'img', 'aria-label': name });
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const pixels = context.createImageData(side, side);
  values.forEach((value, i) => pixels.data.set([...colour(top === 0 ? 0 : value / top), 255], 4 * i));
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function colour(share: number): number[] {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const below = Math.min(RAMP.length - 2, Math.floor(place));
  const [from, to] = [RAMP[below], RAMP[below + 1]] as [readonly number[], readonly number[]];
  return from.map((value, i) => value + (place - below) * ((to[i] as number) - value));
}
