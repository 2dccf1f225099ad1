import type { NonlinearChoice, NonlinearOption } from '../index.ts';
import { UsageError } from './errors.ts';
import { oneOf, show, type Flag } from './flags.ts';

const METHODS: readonly NonlinearOption[] = ['auto', 'shift', 'shift-fixed', 'poly', 'lut'];
/** Words of the flag and what they name. */
const KINDS = { softmax: 'softmax', gelu: 'gelu', norm: 'layerNorm' } as const;
const KIND_NAMES = Object.keys(KINDS) as (keyof typeof KINDS)[];

/** `--nonlinear`: one method for every kind of layer, or `kind=method` joined by commas, the kinds not named being auto. */
export function nonlinearFlag(): Flag<NonlinearChoice> {
  return {
    placeholder: '<method>',
    help: 'of softmax, GELU and LayerNorm: auto, shift, shift-fixed, poly, lut, or one each: softmax=..,gelu=..,norm=..',
    required: false,
    absent: {},
    shown: 'auto',
    read: readChoice,
  };
}

function readChoice(text: string): NonlinearChoice {
  if (!text.includes('=')) {
    const method = oneOf(text, METHODS, 'must be');
    return { softmax: method, gelu: method, layerNorm: method };
  }
  const choice: { -readonly [K in keyof NonlinearChoice]: NonlinearChoice[K] } = {};
  for (const part of text.split(',')) {
    const [word = '', method = '', ...rest] = part.split('=');
    const kind = oneOf(word, KIND_NAMES, 'must name');
    if (rest.length > 0) throw new UsageError(`must be ${kind}=method, got ${show(part)}`);
    if (KINDS[kind] in choice) throw new UsageError(`names ${kind} twice`);
    choice[KINDS[kind]] = oneOf(method, METHODS, `${kind} must be`);
  }
  return choice;
}
