import type { LayerReport } from '../../src/calibrate/layerReport.ts';
import { METRICS } from '../../src/calibrate/options.ts';
import { calibrationOptions } from '../../src/calibrate/presets.ts';
import type { LayerRecipe, Recipe } from '../../src/calibrate/recipe.ts';

const uniform = (bits: number, scale: number) => {
  return { type: 'uniform', bits, granularity: 'channel', scales: [scale, 2 * scale, 3 * scale] } as const;
};

/** A layer of each kind of picture. */
export const REPORT_LAYERS: readonly LayerRecipe[] = [
  { name: 'patch_embed', kind: 'linear', a: { type: 'pixels', bits: 8 }, b: uniform(8, 0.01), score: 0.001 },
  {
    ...{ name: 'blocks.0.attn.pv', kind: 'matmul', score: 0.02, maxShift: 9 },
    a: { type: 'twin-softmax', bits: 6, shift: 4, boundary: 'nearest' },
    b: { ...uniform(6, 0.02), granularity: 'head' },
  },
  {
    ...{ name: 'blocks.0.mlp.fc2', kind: 'linear', score: 0.3, maxShift: 7 },
    a: { type: 'twin-gelu', bits: 6, scaleR2: 0.125, shift: 3 },
    b: uniform(4, 0.05),
  },
];

/** Of `name`, with figures that differ from layer to layer. */
export function reportOf({ name, kind }: LayerRecipe, sqnrDb: number): LayerReport {
  const operand = name === 'patch_embed' ? 'pixels' : name.endsWith('pv') ? 'post-softmax' : 'post-gelu';
  const counts = Array.from({ length: 50 }, (_, i) => 1 + (i % 7) * 30);
  const a = { histogram: { low: -0.17, high: 4, counts }, clipped: 0.0012, saturated: 0.03 };
  const b = { histogram: { low: -1, high: 1, counts }, clipped: 0.0034, saturated: 0.05 };
  const curve = [3, 1.5, 1, 1.4, 2.9];
  return {
    ...{ name, kind, operand, sqnrDb, a, b },
    unit: name === 'patch_embed' ? 'embed' : 'blocks.0',
    cosine: 1 - 1 / sqnrDb ** 2,
    curves: [
      {
        ...{ operand: 'b', factors: [0.5, 0.7, 1, 1.4, 2], chosen: 2 },
        metrics: Object.fromEntries(METRICS.map((metric) => [metric, curve])),
      },
    ],
    ...{ rows: 130, milliseconds: 12 },
  };
}

export function reportRecipe(change: Partial<Recipe> = {}): Recipe {
  return {
    format: 'twinshift-recipe',
    version: 4,
    model: { architecture: 'vit <i>tiny</i>', weightsSha256: 'ab'.repeat(32), config: {} },
    options: calibrationOptions('default'),
    images: [{ file: 'a.png', sha256: 'cd'.repeat(32) }],
    ...{ meanWeightBits: 5.5, meanActivationBits: 6 },
    layers: REPORT_LAYERS,
    integer: { ranges: {}, nonlinear: [] },
    ...change,
  };
}

/** A `<recipe>.run.json` as an object. */
export function runDocument(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    ...{ format: 'twinshift-run', version: 2, model: 'm', out: 'o', preset: 'default', images: 4 },
    ...{ warnings: ['<script>alert(1)</script>'], skippedImages: ['"><img src=x onerror=alert(2)>.png'] },
    ...{ floatWeightBytes: 1000, quantizedWeightBytes: 300, modelFileBytes: 280, candidates: 812.5, seconds: 12.5 },
    stageMs: { forward: 10, 'search attn.pv': 900 },
    ...{ peakProcessBytes: 1e8, peakDeviceBytes: 1e6 },
    adapter: { vendor: 'v', architecture: 'a', description: '', software: true },
    mixedPrecision: {
      ...{ unit: 'bits', budget: 5, cost: 4.9, damage: 0.02, bound: 0.01, rules: [] },
      curve: [
        { cost: 2, damage: 1 },
        { cost: 5, damage: 0.02 },
        { cost: 8, damage: 0 },
      ],
    },
    layerReports: REPORT_LAYERS.map((layer, i) => reportOf(layer, [40, 12, 25][i] as number)),
    ...change,
  };
}
