/** What the scales of a layer truly do to the logits, on a few of the pictures that it was calibrated with. */
import { layerCurve, type Control, type Gpu, type LayerCurve } from '../../src/index.ts';
import type { Operand } from '../protocol.ts';
import type { FinishedRun } from './quantize.ts';

/** The network runs once a candidate and picture: what a software adapter has time for. */
const MOST_PICTURES = 4;
const CANDIDATES = 12;

/**
 * Every metric and the true loss over the candidates of one operand at its width, in the network that was quantized: that of the run
 * with scales of single channels moved.
 */
export async function trueCurve(
  gpu: Gpu,
  { prepared, recipe, calibration, record }: FinishedRun,
  layer: string,
  operand: Operand,
  control: Control,
): Promise<LayerCurve> {
  const found = recipe.layers.find(({ name }) => name === layer);
  if (!found) throw new RangeError(`the run has no layer ${layer}`);
  const pictures = calibration.slice(0, MOST_PICTURES);
  const labels = pictures.flatMap(({ label }) => label ?? []);
  return layerCurve(
    gpu,
    prepared,
    pictures.map(({ image }) => image),
    labels.length === pictures.length ? labels : null,
    {
      ...{ layer, operand, bits: found[operand].bits, candidates: CANDIDATES },
      ...{ twin: record.settings.twin, seed: recipe.options.seed },
    },
    control,
  );
}
