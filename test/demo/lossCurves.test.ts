import { expect, test } from 'vitest';
import { lossCurves, lossText } from '../../demo/lossCurves.ts';
import type { LayerCurve } from '../../src/calibrate/layerCurve.ts';

const curveOf = (change: Partial<LayerCurve>) => {
  const curves = { klDivergence: [0.3, 0.1, 0.2], crossEntropy: [1.5, 1.4, 1.3] };
  return {
    ...{ quantizer: 'uniform', images: 2, crossEntropyAgainst: 'labels', scales: [0.1, 0.4] },
    candidates: [0.4, 0.8, 1.2].map((factor) => ({ factor, scale: null, shift: null })),
    ...{ curves, minima: { klDivergence: 1, crossEntropy: 2 } },
    ...change,
  } as unknown as LayerCurve;
};
const uniform = (...scales: number[]) => ({ type: 'uniform', bits: 8, granularity: 'head', scales }) as const;
const near = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 9) as number);

test('candidates stand over the scale that was chosen, groups by their geometric mean', () => {
  const curve = curveOf({});
  const [divergence, entropy] = lossCurves(curve, uniform(0.05, 0.2));
  expect(divergence).toEqual({ name: 'KL divergence', factors: near([0.8, 1.6, 2.4]), values: [0.3, 0.1, 0.2] });
  expect(entropy).toEqual({ name: 'cross-entropy', factors: near([0.8, 1.6, 2.4]), values: [1.5, 1.4, 1.3] });
  const text = lossText(curve, uniform(0.05, 0.2));
  expect(text).toContain('On 2 of the pictures');
  expect(text).toContain('KL divergence is lowest at 1.6 of the chosen scale (0.1 nats)');
  expect(text).toContain('cross-entropy against the labels at 2.4 of the chosen scale (1.3 nats)');
});

test('after GELU the coarse scale counts, after softmax the shift', () => {
  const gelu = curveOf({ quantizer: 'twin-gelu', scales: [0.03] });
  const [coarse] = lossCurves(gelu, { type: 'twin-gelu', bits: 8, scaleR2: 0.06, shift: 3 });
  expect(coarse?.factors).toEqual(near([0.2, 0.4, 0.6]));
  const candidates = [2, 3, 4].map((shift) => ({ factor: null, scale: null, shift }));
  const softmax = curveOf({ quantizer: 'twin-softmax', scales: [], candidates, crossEntropyAgainst: 'float top-1' });
  const chosen = { type: 'twin-softmax', bits: 8, shift: 3, boundary: 'nearest' } as const;
  expect(lossCurves(softmax, chosen)[0]?.factors).toEqual([2, 1, 0.5]);
  expect(lossText(softmax, chosen)).toContain('against the first class of the float network at 0.5 of');
});
