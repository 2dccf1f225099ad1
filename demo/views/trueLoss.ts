/** The true loss of a layer on demand: below each chart of score curves a button, then progress, then what came out. */
import { operandNames } from '../../src/report/operandNames.ts';
import { element } from '../dom.ts';
import { curveKey, lossText } from '../lossCurves.ts';
import type { Operand } from '../protocol.ts';
import type { LayerResult } from '../record.ts';
import type { Charts } from '../reportScript.ts';
import type { State } from '../state.ts';
import { durationText } from '../text.ts';

export interface LossActions {
  readonly askCurve: (layer: string, operand: Operand) => void;
  readonly cancelCurve: () => void;
}

/** The place of the true loss of an operand; `drawTrueLoss` fills it. */
export function lossPlace(layer: string, operand: Operand): HTMLElement {
  return element('div', { class: 'true-loss', 'data-curve': operand, 'data-of': layer, tabindex: -1 });
}

/** Fills the places of the layer that is shown. Only what a run of this visit left can be asked. */
export function drawTrueLoss(
  state: State,
  result: LayerResult,
  actions: LossActions,
  caption: Charts['CAPTIONS'],
): void {
  for (const place of document.querySelectorAll<HTMLElement>('[data-curve]')) {
    if (place.dataset['of'] === result.report.name) drawPlace(place, state, result, actions, caption);
  }
}

function drawPlace(
  place: HTMLElement,
  state: State,
  result: LayerResult,
  { askCurve, cancelCurve }: LossActions,
  { loss }: Charts['CAPTIONS'],
): void {
  const { curving, curves, record, recorded, running } = state;
  const { name } = result.report;
  const operand = place.dataset['curve'] as Operand;
  const found = curves.get(curveKey(name, operand));
  const isOwn = curving?.layer === name && curving.operand === operand;
  const stage = found ? 'found' : !record || recorded || running ? 'none' : isOwn ? 'computing' : 'idle';
  if (place.dataset['stage'] !== stage) {
    const hadFocus = place.contains(document.activeElement);
    place.dataset['stage'] = stage;
    if (stage === 'none') place.replaceChildren();
    if (stage === 'idle') {
      const [first, second] = operandNames(result.report);
      const what = operand === 'a' ? first : second;
      place.replaceChildren(button(`True loss over scales of the ${what}`, () => askCurve(name, operand)));
    }
    if (stage === 'computing') {
      place.replaceChildren(
        element('progress', { max: 1, 'aria-label': 'True loss' }),
        element('span', { class: 'remaining' }),
        button('Cancel', cancelCurve),
      );
    }
    if (found) {
      place.replaceChildren(
        element('p', {}, lossText(found, result.layer[operand])),
        element('p', { class: 'look' }, `What to look for: ${loss.lookFor} PTQ4ViT, ${loss.section}.`),
      );
    }
    if (hadFocus) (place.querySelector('button') ?? place).focus();
  }
  if (stage === 'idle') (place.firstElementChild as HTMLButtonElement).disabled = curving !== null;
  if (stage === 'computing' && curving) {
    (place.firstElementChild as HTMLProgressElement).value = curving.share;
    const left = curving.remainingMs === null ? '' : `about ${durationText(curving.remainingMs)} left`;
    (place.children[1] as HTMLElement).textContent = left;
  }
}

function button(text: string, action: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button' }, text);
  made.addEventListener('click', action);
  return made;
}
