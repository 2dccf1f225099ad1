/** The form of the settings. */
import { METRICS } from '../src/index.ts';
import { byId, element } from './dom.ts';
import { DEFAULT_SETTINGS, type Settings } from './settings.ts';

const NONLINEAR: Readonly<Record<Settings['nonlinear'], string>> = {
  auto: 'the best of each layer',
  lut: 'tables',
  poly: 'polynomials',
  'shift-fixed': 'shifts, repaired',
  shift: 'shifts as published (I-ViT)',
};
const COUNTS = ['weightBits', 'activationBits', 'calibrationImages', 'evaluationImages'] as const;

/** Fills the form, and tells of every change of it that is valid; a number that is not is marked by the browser. */
export function connectSettings(onChange: (settings: Settings) => void): (settings: Settings) => void {
  const form = byId<HTMLFormElement>('settings');
  const field = (name: keyof Settings) => form.elements.namedItem(name) as HTMLInputElement & HTMLSelectElement;
  field('metric').append(...METRICS.map((name) => element('option', { value: name }, name)));
  field('nonlinear').append(...Object.entries(NONLINEAR).map(([value, text]) => element('option', { value }, text)));

  const write = (settings: Settings) => {
    for (const name of COUNTS) field(name).value = String(settings[name]);
    field('metric').value = settings.metric;
    field('nonlinear').value = settings.nonlinear;
    field('twin').checked = settings.twin;
  };
  form.addEventListener('change', () => {
    if (!form.reportValidity()) return;
    const counts = Object.fromEntries(COUNTS.map((name) => [name, field(name).valueAsNumber])) as Record<
      (typeof COUNTS)[number],
      number
    >;
    onChange({
      ...counts,
      metric: field('metric').value as Settings['metric'],
      nonlinear: field('nonlinear').value as Settings['nonlinear'],
      twin: field('twin').checked,
    });
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  write(DEFAULT_SETTINGS);
  return write;
}
