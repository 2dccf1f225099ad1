import { modelSizes } from '../../src/model/config.ts';
import type { LayerNormOperation, Unit } from '../../src/model/graph.ts';
import type { Model, Parameter } from '../../src/model/load.ts';

/** What is planted: the sizes seen in real checkpoints (METHOD: what real checkpoints look like). */
export interface PlantedOutliers {
  readonly unit: string;
  /** Largest output of fc1. */
  readonly fc1: number;
  /** Magnitude that it gives two channels of the residual stream. */
  readonly residual: number;
}

/** Tokens after the second norm of a block, `[tokens][features]` f32, from calibration images. */
export type NormedTokens = Float32Array;

/** Share of the tokens that light the planted feature up. */
const LIT_SHARE = 0.005;

/**
 * `model` with massive outliers in one block: one feature of fc1 reacts to the tokens nearest to the most unusual one, with
 * outputs up to `fc1`, and fc2 writes them into two channels of the residual stream, up to `residual`; every other token leaves it
 * at 0. The float network around them stays what it was.
 */
export function plantOutliers(model: Model, normed: NormedTokens, { unit, fc1, residual }: PlantedOutliers): Model {
  const { embedDim: features, hiddenDim } = modelSizes(model.config);
  const direction = mostUnusual(normed, features);
  const responses = Array.from({ length: normed.length / features }, (_, token) =>
    dot(normed, token * features, direction),
  );
  const ordered = responses.toSorted((x, y) => y - x);
  const [top, threshold] = [ordered[0] as number, ordered[Math.ceil(LIT_SHARE * ordered.length)] as number];
  const gain = fc1 / (top - threshold);
  const parameters = new Map(model.parameters);
  const change = (name: string, edit: (values: Float32Array) => void) => {
    const old = parameters.get(name) as Parameter;
    const values = Float32Array.from(old.values);
    edit(values);
    parameters.set(name, { shape: old.shape, values });
  };
  const planted = hiddenDim - 1;
  change(`${unit}.mlp.fc1.weight`, (weight) =>
    weight.set(
      direction.map((x) => gain * x),
      planted * features,
    ),
  );
  change(`${unit}.mlp.fc1.bias`, (bias) => bias.set([-gain * threshold], planted));
  change(`${unit}.mlp.fc2.weight`, (weight) => {
    for (let channel = 0; channel < features; channel++) weight[channel * hiddenDim + planted] = 0;
    for (const [channel, sign] of [
      [1, 1],
      [features - 2, -1],
    ] as const) {
      weight[channel * hiddenDim + planted] = (sign * residual) / fc1;
    }
  });
  return { ...model, parameters };
}

/** The tensor that the planted feature reads, in the block `unit`. */
export function fc1Input(unit: Unit): string {
  return (unit.operations.findLast(({ kind }) => kind === 'layerNorm') as LayerNormOperation).output;
}

/** The token farthest from the mean token, less that mean, as a unit vector. */
function mostUnusual(tokens: Float32Array, features: number): Float32Array {
  const count = tokens.length / features;
  const mean = new Float64Array(features);
  tokens.forEach((x, i) => (mean[i % features] = (mean[i % features] as number) + x / count));
  let best = new Float32Array(features);
  let most = 0;
  for (let token = 0; token < count; token++) {
    const away = tokens.slice(token * features, (token + 1) * features).map((x, i) => x - (mean[i] as number));
    const length = Math.sqrt(away.reduce((sum, x) => sum + x * x, 0));
    if (length > most) [most, best] = [length, away.map((x) => x / length)];
  }
  return best;
}

function dot(values: Float32Array, start: number, direction: Float32Array): number {
  return direction.reduce((sum, x, i) => sum + x * (values[start + i] as number), 0);
}
