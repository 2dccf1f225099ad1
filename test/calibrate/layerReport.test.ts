import { beforeAll, expect, test } from 'vitest';
import { calibrate } from '../../src/calibrate/calibrate.ts';
import type { CheckpointStore } from '../../src/calibrate/checkpoint.ts';
import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import type { LayerReport } from '../../src/calibrate/layerReport.ts';
import { METRICS, type CalibrationOptions } from '../../src/calibrate/options.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import { recipeText } from '../../src/calibrate/recipeText.ts';
import type { LayerRecipe } from '../../src/calibrate/recipe.ts';
import { writeSafetensors } from '../../src/io/safetensors.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import type { StridedMatrix } from '../../src/quantize/geometry.ts';
import type { UniformQuantizer } from '../../src/quantize/quantizer.ts';
import { useGpu } from '../support/device.ts';
import { doubleLayerScore } from '../support/doubleLayerScore.ts';
import { doubleScores, type DoubleScore } from '../support/doubleScores.ts';
import { sampleImages } from '../support/sample.ts';
import { TINY_CONFIG, tinyTensors } from '../support/tinyModel.ts';

const shared = useGpu();
const alone = { folding: 'none', compensation: 'none', rounding: 'nearest', biasCorrection: 'none' } as const;
const options: CalibrationOptions = {
  ...calibrationOptions('default', { weightBits: 4, activationBits: 5, softmax: 'twin', gelu: 'twin' }),
  ...{ candidates: 6, rounds: 1 },
  ...alone,
};
let model: Model;
let images: CalibrationImage[];
beforeAll(async () => {
  model = await loadModel({ configJson: JSON.stringify(TINY_CONFIG), weights: writeSafetensors(tinyTensors(3)) });
  images = await sampleImages(model, 'calib', 3); // few enough that a report looks at all of them
});

interface Told {
  readonly report: LayerReport;
  readonly layer: LayerRecipe;
}

const reported = async (chunk: number, checkpoints?: CheckpointStore, given = options) => {
  const told: Told[] = [];
  const onLayer = (report: LayerReport, layer: LayerRecipe) => told.push({ report, layer });
  const control = { onLayer, ...(checkpoints ? { checkpoints } : {}) };
  return { result: await calibrate(shared.gpu, model, images, given, control, chunk), told };
};
const timeless = (told: readonly Told[]) => told.map(({ report }) => ({ ...report, milliseconds: 0 }));

/** A score of every element alike. */
const meanSquaredError = (layer: LayerRecipe, { geometry, capture }: DoubleScore) =>
  doubleLayerScore(layer, geometry, { ...capture, gradient: new Float32Array(capture.output.length).fill(1) });

/** Of the output in float; its buffer may be longer. */
const meanSquare = ({ geometry, capture }: DoubleScore) => {
  const count = capture.images * geometry.output.imageStride;
  return (
    Array.from({ length: count }, (_, i) => (capture.output[i] as number) ** 2).reduce((sum, y) => sum + y) / count
  );
};

test('a report states the errors of its layer, of definitions in double; the recipe is that of a run without reports', async () => {
  const { recipe } = await calibrate(shared.gpu, model, images, options);
  const saved = new Map<string, Uint8Array>();
  const keep: CheckpointStore = {
    read: (_job, unit) => Promise.resolve(saved.get(unit)),
    write: (_job, unit, bytes) => Promise.resolve(void saved.set(unit, bytes)),
    remove: () => Promise.resolve(),
  };
  const { result, told } = await reported(2, keep);
  expect(recipeText(result.recipe)).toBe(recipeText(recipe));
  expect(told.map(({ report }) => report.name).sort()).toEqual(recipe.layers.map(({ name }) => name).sort());
  expect(timeless((await reported(1, keep)).told), 'of units from checkpoints, in other chunks').toEqual(
    expect.arrayContaining(timeless(told)),
  );

  const scores = await doubleScores(shared, model, recipe, images);
  expect(scores).toHaveLength(told.length);
  const kinds = new Set<string>();
  let someClipped = false;
  for (const score of scores) {
    const { report, layer } = told.find((each) => each.layer.name === score.layer.name) as Told;
    const { geometry, capture } = score;
    const { name } = layer;
    kinds.add(`${report.kind} ${report.operand}`);
    expect(layer).toEqual(score.layer);
    expect(report.rows).toBe(capture.images * geometry.heads * geometry.rows);
    expect(report.milliseconds).toBeGreaterThan(0);

    expect(report.sqnrDb, name).toBeCloseTo(10 * Math.log10(meanSquare(score) / meanSquaredError(layer, score)), 2);
    expect(report.cosine, name).toBeGreaterThan(0.5);
    expect(report.cosine, name).toBeLessThan(1);

    const byHead = Array.from({ length: geometry.heads }, (_, head) => {
      return taken(capture.a, geometry.a, head, [capture.images, geometry.rows, geometry.depth]);
    });
    const count = byHead.flat().length;
    expectHistogram(report.a.histogram, byHead.flat());
    let [clipped, saturated] = [0, 0];
    for (const [head, values] of byHead.entries()) {
      const [low, high] = codeEnds(layer, head);
      for (const x of values) {
        if (x > high.value + high.step / 2 || x < low.value - low.step / 2) clipped++;
        if (x >= high.value - high.step / 2 || (low.value < 0 && x <= low.value + low.step / 2)) saturated++;
      }
    }
    expect([report.a.clipped, report.a.saturated], name).toEqual([clipped / count, saturated / count]);
    someClipped ||= clipped > 0;

    expect(report.curves.map(({ operand }) => operand)).toEqual(report.operand === 'pixels' ? ['b'] : ['a', 'b']);
    for (const { operand, factors, chosen, metrics } of report.curves) {
      expect(factors[chosen], name).toBe(1);
      expect(factors, name).toEqual([...factors].sort((x, y) => x - y));
      expect(Object.keys(metrics), name).toEqual([...METRICS]);
      for (const curve of Object.values(metrics)) {
        expect(curve).toHaveLength(factors.length);
        expect(Math.min(...curve)).toBe(1);
      }
      if (operand === 'b') {
        const wider = { ...(layer.b as UniformQuantizer) };
        const other = {
          ...layer,
          b: { ...wider, scales: wider.scales.map((s) => Math.fround(s * (factors[0] as number))) },
        };
        const ratio = (curve: readonly number[] | undefined) => (curve as number[])[0]! / (curve as number[])[chosen]!;
        const hessian = doubleLayerScore(other, geometry, capture) / doubleLayerScore(layer, geometry, capture);
        const mse = meanSquaredError(other, score) / meanSquaredError(layer, score);
        expect(ratio(metrics.hessian) / hessian, name).toBeCloseTo(1, 2);
        expect(ratio(metrics.mse) / mse, name).toBeCloseTo(1, 2);
      }
    }
  }
  expect(someClipped).toBe(true);
  expect([...kinds].sort()).toEqual(
    ['linear pixels', 'linear plain', 'linear post-gelu', 'matmul plain', 'matmul post-softmax'].sort(),
  );
});

test('weights of other codes than the nearest are measured with their own; quantizers in float have no curve', async () => {
  const compensated = { ...options, compensation: calibrationOptions('default').compensation };
  const { result, told } = await reported(2, undefined, { ...compensated, metric: 'mse' });
  const scores = await doubleScores(shared, model, result.recipe, images, result);
  for (const score of scores) {
    const { report, layer } = told.find((each) => each.layer.name === score.layer.name) as Told;
    const ratio = meanSquare(score) / meanSquaredError(layer, score);
    expect(report.sqnrDb, layer.name).toBeCloseTo(10 * Math.log10(ratio), 2);
    for (const { metrics } of report.curves) expect(metrics.hessian, 'there is no gradient').toBeUndefined();
  }
  const published = { ...calibrationOptions('reference'), candidates: 3, rounds: 1 };
  const float = await reported(2, undefined, published);
  const curveless = float.told.filter(({ layer }) => layer.a.type === 'published-softmax' || layer.b.type === 'block');
  expect(curveless.length).toBeGreaterThan(0);
  expect(curveless.flatMap(({ report }) => report.curves)).toEqual([]);
  for (const { report, layer } of float.told) {
    expect(report.sqnrDb, layer.name).toBeGreaterThan(10);
    expect(report.a.clipped, layer.name).toBeLessThan(0.1);
  }
});

/** All values of a matrix, of one head. */
function taken(
  values: ArrayLike<number>,
  matrix: StridedMatrix,
  head: number,
  [count, rows, columns]: readonly [number, number, number],
): number[] {
  const found: number[] = [];
  for (let image = 0; image < count; image++) {
    for (let row = 0; row < rows; row++) {
      const start = matrix.offset + image * matrix.imageStride + head * matrix.headStride + row * matrix.rowStride;
      for (let column = 0; column < columns; column++) {
        found.push(values[start + column * matrix.columnStride] as number);
      }
    }
  }
  return found;
}

function expectHistogram({ low, high, counts }: LayerReport['a']['histogram'], values: readonly number[]) {
  const sorted = [...values].sort((x, y) => x - y);
  expect([low, high]).toEqual([sorted[0], sorted.at(-1)]);
  expect(counts.length).toBeLessThanOrEqual(200);
  const edge = (bin: number) => low + ((high - low) * bin) / counts.length;
  const half = counts.length / 2;
  const below = values.filter((x) => x < edge(half)).length;
  expect(counts.reduce((sum, n) => sum + n, 0)).toBe(values.length);
  expect(Math.abs(counts.slice(0, half).reduce((sum, n) => sum + n, 0) - below)).toBeLessThanOrEqual(2);
}

interface End {
  readonly value: number;
  readonly step: number;
}

/** The outermost values of the left operand in a head, by the definitions of the quantizers. */
function codeEnds({ a }: LayerRecipe, head: number): [End, End] {
  const q = 2 ** (a.bits - 1);
  switch (a.type) {
    case 'uniform': {
      const step = a.scales[a.scales.length === 1 ? 0 : head] as number;
      return [
        { value: -q * step, step },
        { value: (q - 1) * step, step },
      ];
    }
    case 'pixels':
      return [
        { value: -128, step: 1 },
        { value: 127, step: 1 },
      ];
    case 'twin-softmax':
      return [
        { value: 0, step: 0 },
        { value: (q - 1) / q, step: 1 / q },
      ];
    case 'twin-gelu': {
      const fine = a.scaleR2 / 2 ** a.shift;
      return [
        { value: -(q - 1) * fine, step: fine },
        { value: (q - 1) * a.scaleR2, step: a.scaleR2 },
      ];
    }
    default:
      throw new Error(`${a.type} is not of this test`);
  }
}
