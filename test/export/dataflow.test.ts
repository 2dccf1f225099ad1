import { expect, test } from 'vitest';
import { Dataflow } from '../../src/export/dataflow.ts';
import { tinyModel } from '../support/goldenModel.ts';

test('a tensor that two units share has one name and the readers of both', async () => {
  const { model } = await tinyModel('vit-plain');
  const flow = new Dataflow(model.network);
  const [embed, block] = model.network.units;
  expect(flow.name(block!, 'x')).toBe('embed.y');
  expect(flow.name(embed!, 'y')).toBe('embed.y');
  expect(flow.readers('embed.y').map(({ operation }) => operation.kind)).toEqual(['layerNorm', 'add']);
  expect(flow.readers('blocks.0.qkv').map(({ operation }) => operation.kind)).toEqual(['matmul', 'matmul']);
  expect(flow.readers('head.logits')).toEqual([]);
});
