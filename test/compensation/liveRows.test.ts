import { expect, test } from 'vitest';
import { liveRows } from '../../src/calibrate/compensation/liveRows.ts';
import type { GatherRowsOperation } from '../../src/model/graph.ts';
import { PADDED_SWIN, POOLED_VIT, randomModel } from '../support/randomModel.ts';

const range = (first: number, end: number) => new Set(Array.from({ length: end - first }, (_, i) => first + i));

test('of windows all rows but what the projection does to padding', () => {
  const { network } = randomModel(PADDED_SWIN);
  const live = liveRows(network);
  const unit = network.units.find(({ name }) => name === 'layers.0.blocks.1')!;
  const cut = unit.operations.find(
    (o): o is GatherRowsOperation => o.kind === 'gatherRows' && o.output === 'windowed',
  )!;
  const real = new Set([...cut.indices].flatMap((row, i) => (row < 0 ? [] : [i])));
  expect(real.size).toBe(49);
  expect(live.get('layers.0.blocks.1.attn.proj')).toEqual(real);
  for (const layer of ['attn.qkv', 'mlp.fc1', 'mlp.fc2']) expect(live.get(`layers.0.blocks.1.${layer}`)).toBe('all');
  expect(live.get('layers.0.downsample.reduction')).toBe('all');
  expect(live.get('patch_embed')).toBe('all');
});

test('of pooled patches all but the tokens before them after the last attention', () => {
  const live = liveRows(randomModel(POOLED_VIT).network);
  for (const layer of ['attn.proj', 'mlp.fc1', 'mlp.fc2']) expect(live.get(`blocks.0.${layer}`)).toEqual(range(3, 52));
  for (const layer of ['attn.q', 'attn.k', 'attn.v']) expect(live.get(`blocks.0.${layer}`)).toBe('all');
  expect(live.get('head')).toBe('all');
});
