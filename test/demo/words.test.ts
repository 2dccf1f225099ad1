import { expect, test } from 'vitest';
import { sortFiles } from '../../demo/files.ts';
import { quantizerText } from '../../demo/quantizerText.ts';
import { kernelsOf } from '../../demo/shaders.ts';
import { bytesText, durationText, percent, significant } from '../../demo/text.ts';
import { failureOf, NoWebGpuError } from '../../demo/worker/failures.ts';
import {
  DeviceLostError,
  DeviceMemoryError,
  ExportError,
  FormatError,
  GpuError,
  HubError,
  UnsupportedDeviceError,
} from '../../src/index.ts';
import { REPORT_LAYERS, reportOf } from '../support/reportCase.ts';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test('numbers are written for people', () => {
  expect([0.98765, 1].map((share) => plain(percent(share)))).toEqual(['98.8 %', '100.0 %']);
  expect([1234, 12345, 1234567, 12345678].map((count) => plain(bytesText(count)))).toEqual([
    ...['1.2 kB', '12 kB', '1.23 MB', '12.3 MB'],
  ]);
  expect([12.4, 1500, 89_400, 135_000].map((ms) => plain(durationText(ms)))).toEqual([
    ...['12 ms', '2 s', '89 s', '2 min 15 s'],
  ]);
  expect([0, 0.00012345, 1234.5].map((value) => significant(value))).toEqual(['0', '0.000123', '1230']);
});

test('quantizers are told with the steps of both ranges', () => {
  const [patch, pv, fc2] = REPORT_LAYERS.map(({ a }) => quantizerText(a));
  expect(patch).toEqual({ kind: 'pixels, 8 bits', steps: 'exact' });
  expect(pv).toEqual({
    kind: 'twin ranges, 6 bits',
    steps: 'step 2⁻⁵ for large values, 2⁻⁹ for small ones (shift 4)',
  });
  expect(fc2).toEqual({ kind: 'twin ranges, 6 bits', steps: 'step 0.125 above 0, 0.0156 below (shift 3)' });
  const [{ b }] = REPORT_LAYERS as [(typeof REPORT_LAYERS)[0]];
  expect(quantizerText(b)).toEqual({ kind: 'uniform, 8 bits', steps: '3 steps of 0.01 to 0.03, per channel' });
});

test('the kernels of a layer are the product and what makes its codes', () => {
  const made = REPORT_LAYERS.map((layer) => kernelsOf({ layer, report: reportOf(layer, 1) })[1]);
  expect(made).toEqual(['patch_codes', 'int_softmax', 'int_gelu']);
  const [, , layer] = REPORT_LAYERS as [unknown, unknown, (typeof REPORT_LAYERS)[0]];
  const named = (name: string) => kernelsOf({ layer, report: { ...reportOf(layer, 1), name, operand: 'plain' } });
  expect(named('blocks.3.attn.qkv')).toEqual(['matmul_requantize', 'int_layer_norm', 'lib_requantize']);
  expect(named('head')[1]).toBe('int_layer_norm');
  expect(named('blocks.3.attn.proj')).toEqual(['matmul_requantize', 'lib_requantize']);
});

test('files are told apart by their names', () => {
  const names = ['config.json', 'a.safetensors', 'b.twinshift.safetensors', 'c.JPG', 'd.webp', 'e.bin', 'README.md'];
  const { model, photos, modelFile } = sortFiles(names.map((name) => new File([], name)));
  expect(model.map(({ name }) => name)).toEqual(['config.json', 'a.safetensors', 'e.bin']);
  expect(photos.map(({ name }) => name)).toEqual(['c.JPG', 'd.webp']);
  expect(modelFile?.name).toBe('b.twinshift.safetensors');
});

test.each<[string, Error]>([
  ['no-webgpu', new NoWebGpuError('x')],
  ['device-lost', new DeviceLostError('x')],
  ['memory', new DeviceMemoryError('x')],
  ['memory', new UnsupportedDeviceError('x')],
  ['memory', new RangeError('Array buffer allocation failed')],
  ['memory', new RangeError('Invalid typed array length: 5')],
  ['memory', new RangeError('createBuffer failed, size (1) is too large for the implementation')],
  ['hub', new HubError('x')],
  ['input', new FormatError('x')],
  ['input', new ExportError('x')],
  ['program', new GpuError('x')],
  ['program', new TypeError('x')],
])('%s is what the page makes of %o', (kind, error) => {
  expect(failureOf(error)).toEqual({ kind, message: error.message });
});
