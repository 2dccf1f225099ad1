import { describe, expect, test } from 'vitest';
import { absorbBias, normOf } from '../../src/export/normBias.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { tinySwin, tinyVit } from '../support/checkpoints.ts';
import { noise } from '../support/floats.ts';
import { PADDED_SWIN } from '../support/randomModel.ts';

describe('the norm that a layer alone reads', () => {
  const swin = buildNetwork(tinySwin());
  const padded = buildNetwork(PADDED_SWIN);

  test('is the one before it, with rows of padding before the norm or none', () => {
    expect(normOf(swin, 'layers.1.downsample.reduction')).toBe('layers.1.downsample.norm');
    expect(normOf(padded, 'layers.0.downsample.reduction')).toBe('layers.0.downsample.norm');
    expect(normOf(swin, 'layers.0.blocks.0.attn.qkv')).toBe('layers.0.blocks.0.norm1');
  });

  test('is none with rows of padding behind the norm, with other readers, or where no norm is', () => {
    expect(normOf(padded, 'layers.0.blocks.0.attn.qkv')).toBeUndefined();
    expect(normOf(buildNetwork(tinyVit({ qkNorm: true })), 'blocks.0.attn.q')).toBeUndefined();
    expect(normOf(swin, 'layers.0.blocks.0.mlp.fc2')).toBeUndefined();
  });
});

describe('the bias of a norm', () => {
  test('is moved no farther than the bias of the layer needs', () => {
    expect(absorbBias(Float32Array.of(1, 2), Float32Array.of(3, 4), Float32Array.of(25))).toEqual(
      Float32Array.of(4, 6),
    );
  });

  test.each([
    [1, 3],
    [4, 4],
    [65, 257],
  ])('takes up that of %i outputs of %i inputs', (outputs, inputs) => {
    const [norm, weight, bias] = [noise(inputs, 1), noise(outputs * inputs, 2), noise(outputs, 3)];
    const shifted = absorbBias(norm, weight, bias)!;
    bias.forEach((value, i) => {
      const row = weight.subarray(i * inputs, (i + 1) * inputs);
      const output = row.reduce((sum, factor, k) => sum + factor * (shifted[k]! - norm[k]!), 0);
      expect(output).toBeCloseTo(value, 4);
    });
  });

  test.each([
    ['more outputs than inputs', [1, 2, 3], [1, 2, 3]],
    ['an output without weights', [1, 2, 0, 0], [1, 1]],
    ['outputs that hardly differ', [1, 2, 1, 2.000001], [1, 5]],
    ['no finite weights', [1, 2, NaN, 0], [1, 1]],
  ])('cannot take up %s', (_name, weight, bias) => {
    const norm = new Float32Array(weight.length / bias.length).fill(0.5);
    expect(absorbBias(norm, Float32Array.from(weight), Float32Array.from(bias))).toBeUndefined();
  });
});
