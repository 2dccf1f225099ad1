import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { cosineSimilarity, pearsonCorrelation } from '../../src/reference/scoreCosine.ts';
import { elementScore, type ScoreMetric } from '../../src/reference/scoreElementwise.ts';

type Golden = Record<'y' | 'yHat' | 'gradient', number[][]> & Record<ScoreMetric | 'cosine' | 'pearson', number[]>;
const golden = JSON.parse(readFileSync(new URL('../golden/metrics/metrics.json', import.meta.url), 'utf8')) as Golden;

const flat = (rows: number[][]) => rows.flat();

test.each(['hessian', 'mse', 'l1', 'linear-weighted-mse', 'square-weighted-mse'] as const)(
  '%s of every element is that of PyTorch',
  (metric) => {
    const [y, yHat, gradient] = [flat(golden.y), flat(golden.yHat), flat(golden.gradient)];
    expect(golden[metric]).toHaveLength(y.length);
    golden[metric].forEach((expected, i) => {
      const [target, g] = [y[i] as number, gradient[i] as number];
      const score = elementScore(metric, target, target - (yHat[i] as number), g);
      expect(Math.abs(score - expected)).toBeLessThanOrEqual(1e-14 * expected);
    });
  },
);

test.each([
  ['cosine', cosineSimilarity],
  ['pearson', pearsonCorrelation],
] as const)('%s of every row is that of PyTorch', (metric, similarity) => {
  expect(golden[metric]).toHaveLength(golden.y.length);
  golden[metric].forEach((expected, row) => {
    expect(similarity(golden.y[row] as number[], golden.yHat[row] as number[])).toBeCloseTo(expected, 12);
  });
});
