/** The runs of this visit beside each other: change a setting, see what it does. */
import { byId, element, show } from '../dom.ts';
import type { RunRecord } from '../record.ts';
import { bytesText, decibels, durationText, percent } from '../text.ts';

/** Runs that are kept, the newest last. */
const MOST_RUNS = 12;

/** Only what the table shows: the records of runs are large. */
type Row = readonly string[];

const HEADINGS = ['Bits', 'Agreement', 'Logits', 'Bytes', 'Time', 'Twin', 'Metric', 'Nonlinear', 'Images', 'Model'];
const rows: Row[] = [];

/** Adds a run that was made here; the table is shown from the second one on. */
export function addRun(record: RunRecord): void {
  rows.push(rowOf(record));
  rows.splice(0, rows.length - MOST_RUNS);
  show(byId('runs'), rows.length > 1);
  byId('runs').replaceChildren(
    element(
      'table',
      {},
      element('caption', {}, 'Runs of this visit, the newest last'),
      element('thead', {}, element('tr', {}, ...HEADINGS.map((text) => element('th', { scope: 'col' }, text)))),
      element('tbody', {}, ...rows.map((row) => element('tr', {}, ...row.map((text) => element('td', {}, text))))),
    ),
  );
}

function rowOf({ model, settings, calibrationImages, comparison, bytes, quantizeMs }: RunRecord): Row {
  const { agreement, images, logitSqnrDb } = comparison;
  return [
    `W${settings.weightBits} A${settings.activationBits}`,
    `${percent(agreement)} of ${images}`,
    logitSqnrDb === null ? 'equal' : decibels(logitSqnrDb),
    bytesText(bytes.integer),
    durationText(quantizeMs),
    settings.twin ? 'on' : 'off',
    settings.metric,
    settings.nonlinear,
    String(calibrationImages),
    model.name,
  ];
}
