import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { OnnxGraph } from '../../../src/export/onnx/graph.ts';
import { joined } from '../../../src/export/onnx/protobuf.ts';
import { quantizeLeft } from '../../../src/export/onnx/quantizers.ts';
import { floatValueMessage, modelMessage } from '../../../src/export/onnx/schema.ts';
import type { Preprocessing } from '../../../src/io/preprocess.ts';
import type { LeftQuantizer } from '../../../src/quantize/floatQuantizer.ts';
import { levelThresholds } from '../../../src/kernels/quantizeLevels.ts';
import { logLevels } from '../../../src/quantize/levels.ts';
import { steps } from '../../../src/quantize/quantizer.ts';
import { noise } from '../../support/floats.ts';
import { quantizedRow } from '../../support/quantizedForward.ts';

const DEPTH = 64;
const HEADS = 2;
const pixels: Preprocessing = {
  ...{ width: 8, height: 8, resizeShortestEdge: 8, interpolation: 'bicubic', cropRounding: 'floor' },
  ...{ rescale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.5, 0.2, 0.1] },
};

/** Rows `[images][HEADS][DEPTH]` through the operators of a quantizer, the terms of the operand added up by ONNX Runtime. */
async function quantizedByOnnx(quantizer: LeftQuantizer, rows: Float32Array): Promise<Float32Array> {
  const graph = new OnnxGraph();
  const dims = [HEADS, 1, DEPTH];
  const { terms, rowScales, headScales } = quantizeLeft(graph, { value: 'x', dims }, quantizer, pixels);
  let sum = terms.map(({ value }) => value).reduce((a, b) => graph.node('Add', [a, b]));
  if (rowScales !== undefined) sum = graph.node('Mul', [sum, rowScales]);
  if (headScales) sum = graph.node('Mul', [sum, graph.floats(headScales, [HEADS, 1, 1])]);
  graph.output('y', sum);
  const file = modelMessage({
    ...{ name: 'quantizer', producer: { name: 'test', version: '1' }, metadata: {} },
    ...{ nodes: graph.nodes, constants: graph.constants },
    inputs: [floatValueMessage('x', ['batch', ...dims])],
    outputs: [floatValueMessage('y', ['batch', ...dims])],
  });
  const session = await InferenceSession.create(joined(file));
  const { y } = await session.run({ x: new Tensor('float32', rows, [rows.length / (HEADS * DEPTH), ...dims]) });
  await session.release();
  return y!.data as Float32Array;
}

const scale = Math.fround(0.013);
const uniform = { type: 'uniform', bits: 8, granularity: 'tensor', scales: [scale] } as const;
const levels = (operand: 'softmax' | 'gelu', bits: number, octaves: number) => {
  const negatives = operand === 'gelu' ? 5 : 0;
  const shape = { operand, family: 'adaptive-log', bits } as const;
  return logLevels(shape, { octaves, negatives }, operand === 'gelu' ? 1.7 : 1, operand === 'gelu' ? 16_256 : 16_383);
};

const QUANTIZERS: readonly (readonly [string, LeftQuantizer])[] = [
  ['8 bits', uniform],
  ['8 bits without the lowest code', { ...uniform, restricted: true }],
  ['6 bits', { ...uniform, bits: 6, scales: [Math.fround(0.05)] }],
  ['4 bits around a zero point', { ...uniform, bits: 4, scales: [Math.fround(0.15)], restricted: true, zeroPoint: 3 }],
  ['8 bits around a zero point', { ...uniform, zeroPoint: -77 }],
  ['a scale for each head', { ...uniform, bits: 6, granularity: 'head', scales: [scale, Math.fround(0.05)] }],
  ['blocks', { type: 'block', bits: 6, rowBlocks: 1, columnBlocks: 4, scales: [0.1, 0.02, 0.3, 0.04] }],
  ['a scale for each token', { type: 'per-token', bits: 8 }],
  ['twin probabilities', { type: 'twin-softmax', bits: 8, shift: 5, boundary: 'nearest' }],
  ['twin probabilities, 6 bits, as published', { type: 'twin-softmax', bits: 6, shift: 3, boundary: 'published' }],
  ['twin probabilities without a shift', { type: 'twin-softmax', bits: 4, shift: 0, boundary: 'nearest' }],
  ['twin GELU', { type: 'twin-gelu', bits: 8, scaleR2: scale, shift: 3 }],
  ['twin GELU, 4 bits', { type: 'twin-gelu', bits: 4, scaleR2: Math.fround(0.13), shift: 2 }],
  ['added probabilities', { type: 'published-softmax', bits: 8, split: 0.1 }],
  ['untied GELU', { type: 'published-gelu', bits: 6, scales: [0.1, 0.02], negativeScale: 0.01 }],
  ['levels of probabilities', levels('softmax', 8, 0.3)],
  ['levels of probabilities, 4 bits', levels('softmax', 4, 1)],
  ['levels of GELU', levels('gelu', 8, 0.2)],
  ['levels of GELU, 3 bits', levels('gelu', 3, 1)],
];

/** Random values, 0, ends of ranges and, of levels and twin ranges, the values at and beside every border. */
function valuesFor(quantizer: LeftQuantizer): Float32Array {
  const isProbability =
    quantizer.type.endsWith('softmax') || (quantizer.type === 'levels' && quantizer.operand === 'softmax');
  const random = noise(24 * DEPTH, 5, 2).map((x, i) =>
    isProbability ? Math.min(1, Math.abs(x) * [1, 0.1, 0.01][i % 3]!) : x,
  );
  const borders: number[] = [0, 1, isProbability ? 2 ** -30 : -100];
  if (quantizer.type === 'levels') borders.push(...levelThresholds(quantizer));
  if (quantizer.type === 'twin-softmax') borders.push(127 * steps(quantizer)[0]!, 2 ** -quantizer.shift);
  const beside = borders.flatMap((x) => [x, x * (1 + 2 ** -23), x * (1 - 2 ** -23)]);
  const all = [...random, ...beside];
  return Float32Array.from({ length: HEADS * DEPTH * Math.ceil(all.length / (HEADS * DEPTH)) }, (_, i) => all[i] ?? 0);
}

describe('operators of ONNX give the values of our codes', () => {
  test.each(QUANTIZERS)('%s', async (_name, quantizer) => {
    const values = valuesFor(quantizer);
    const got = await quantizedByOnnx(quantizer, values);
    const wanted = Array.from({ length: values.length / DEPTH }, (_, row) => [
      ...quantizedRow(values.subarray(row * DEPTH, (row + 1) * DEPTH), quantizer, row % HEADS),
    ]).flat();
    const off = wanted.flatMap((value, i) => {
      return Math.abs(value - got[i]!) <= 1e-6 * Math.abs(value) + 1e-8
        ? []
        : [`${values[i]}: ${got[i]}, not ${value}`];
    });
    expect(off).toEqual([]);
    expect(new Set(wanted).size).toBeGreaterThan(5);
  });

  test('pixels', async () => {
    const codes = Float32Array.from({ length: 2 * HEADS * DEPTH }, (_, i) => (i * 37) % 256);
    const channel = (i: number) => Math.floor((3 * (i % DEPTH)) / DEPTH);
    const normalised = codes.map((value, i) => (value / 255 - pixels.mean[channel(i)]!) / pixels.std[channel(i)]!);
    const got = await quantizedByOnnx({ type: 'pixels', bits: 8 }, normalised);
    expect([...got]).toEqual([...codes.map((value) => value - 128)]);
  });
});
