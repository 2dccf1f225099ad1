import * as Plot from '@observablehq/plot';
import { DAMAGE_DB } from '../damageScale.ts';
import { INK, labelled, type ChartSize } from './chart.ts';

export interface MapCell {
  readonly name: string;
  readonly unit: string;
  /** Null while it is not known. */
  readonly sqnrDb: number | null;
}

/**
 * A cell for each layer, units down and layers of a unit across, the redder the larger its error.
 *
 * @param onSelect told of the layer whose cell is clicked
 */
export function layerMap(
  cells: readonly MapCell[],
  { width, document }: ChartSize,
  onSelect?: (name: string) => void,
): Element {
  const kinds = [...new Set(['layer', ...cells.map(kindOf)])].filter((kind) =>
    cells.some((cell) => kindOf(cell) === kind),
  );
  const units = [...new Set(cells.map(({ unit }) => unit))];
  const chart = Plot.plot({
    width,
    height: 36 + 24 * units.length,
    marginLeft: Math.min(120, 16 + 7 * Math.max(...units.map((unit) => unit.length))),
    marginTop: 28,
    marginRight: 4,
    marginBottom: 4,
    document,
    style: { fontSize: '12px', color: INK },
    x: {
      domain: kinds,
      axis: 'top',
      label: null,
      tickSize: 0,
      tickFormat: (kind: string) => shortKind(kind, width < 560),
    },
    y: { domain: units, label: null, tickSize: 0 },
    marks: [
      Plot.cell(cells, {
        x: kindOf,
        y: 'unit',
        fill: { value: colourOf, scale: null },
        stroke: 'var(--chart-grid)',
        inset: 1,
        title: (cell: MapCell) =>
          `${cell.name}: ${cell.sqnrDb === null ? 'not known' : `${cell.sqnrDb.toFixed(1)} dB`}`,
      }),
      Plot.text(
        cells.filter(({ sqnrDb }) => sqnrDb !== null),
        {
          x: kindOf,
          y: 'unit',
          text: (cell: MapCell) => (cell.sqnrDb as number).toFixed(width < 560 ? 0 : 1),
          fill: INK,
          pointerEvents: 'none',
        },
      ),
    ],
  });
  if (onSelect) {
    for (const [i, cell] of [...chart.querySelectorAll('[aria-label="cell"] rect')].entries()) {
      (cell as SVGElement).style.cursor = 'pointer';
      cell.addEventListener('click', () => onSelect((cells[i] as MapCell).name));
    }
  }
  const known = cells.filter(({ sqnrDb }) => sqnrDb !== null);
  const worst = known.toSorted((a, b) => (a.sqnrDb as number) - (b.sqnrDb as number))[0];
  const label = worst
    ? `the largest is in ${worst.name}, ${(worst.sqnrDb as number).toFixed(1)} dB`
    : 'none is known yet';
  return labelled(chart, `Map of the errors of ${cells.length} layers; ${label}`);
}

/** From the ground of cells to the colour of damage, in both themes. */
function colourOf({ sqnrDb }: MapCell): string {
  if (sqnrDb === null) return 'none';
  const share = (DAMAGE_DB.best - sqnrDb) / (DAMAGE_DB.best - DAMAGE_DB.worst);
  const percent = (100 * Math.min(1, Math.max(0, share))).toFixed(1);
  return `color-mix(in oklab, var(--chart-damage) ${percent}%, var(--chart-cell))`;
}

/** Of a unit that is a single layer, `layer`. */
function kindOf({ name, unit }: MapCell): string {
  return name.startsWith(`${unit}.`) ? name.slice(unit.length + 1) : 'layer';
}

function shortKind(kind: string, narrow: boolean): string {
  return narrow ? (kind.split('.').at(-1) as string) : kind;
}
