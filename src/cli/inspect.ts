import type { LayerDescription, ModelDescription, OperandDescription } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { PRESET_NAMES } from '../calibrate/options.ts';
import { choice, onOff, optionalPath } from './flags.ts';
import { loadModel } from './loadModel.ts';
import { optionFlags, optionsGiven } from './optionFlags.ts';
import { formatBytes, formatCount, plural, table } from './text.ts';

const flags = {
  preset: choice('options to begin with', 'default', PRESET_NAMES),
  config: optionalPath('<file>', 'JSON file with options, and with rules for single layers'),
  json: onOff('print the layers as one JSON document'),
  ...optionFlags(),
};

export const inspect: Command<typeof flags> = {
  name: 'inspect',
  summary: 'list the layers of a model, their sizes, and how each will be quantized',
  positionals: ['<model>'],
  description: [
    'Reads config.json and model.safetensors of a folder and checks every tensor. No image and no GPU is needed.',
    'a is the activation on the left of a product, b the weight or the activation on its right.',
  ],
  flags,
  examples: ['twinshift inspect models/sample', 'twinshift inspect deit-tiny --weight-bits 4 --activation-bits 8'],
  async run({ values, given, positionals }, context) {
    const node = await import('../node.ts');
    const settings = values.config === undefined ? {} : await node.loadSettings(values.config);
    const options = node.calibrationOptions(values.preset, { ...settings, ...optionsGiven(values, given) });
    const model = node.describeModel((await loadModel(positionals[0] as string, context)).model, options);
    context.print(values.json ? `${JSON.stringify(model, null, 2)}\n` : layerTable(model));
    return EXIT.ok;
  },
};

function layerTable(model: ModelDescription): string {
  const { imageSize, patchSize, depth, embedDim, heads, hiddenDim, numClasses } = model;
  const header = ['layer', 'product of an image', 'MACs', 'float', 'codes', 'a', 'b'];
  const total = ['total', '', formatCount(model.macs), sum(model, 'floatBytes'), sum(model, 'quantizedBytes'), '', ''];
  return `${[
    `${model.architecture}: ${imageSize} x ${imageSize} pixels, patch ${patchSize}, depth ${depth}, width ${embedDim}, ` +
      `${plural(heads, 'head')}, MLP ${hiddenDim}, ${numClasses} classes`,
    `${formatCount(model.parameters)} parameters, ${formatBytes(model.floatBytes)} as f32, SHA-256 of the weights ${model.weightsSha256}`,
    '',
    ...table([header, ...model.layers.map(row), total], ['left', 'left', 'right', 'right', 'right']),
    '',
    'Not quantized: LayerNorm, softmax, GELU, residual additions, biases, class token, position embedding and relative position bias.',
  ].join('\n')}\n`;
}

function row(layer: LayerDescription): string[] {
  const { windows, heads, rows, depth, columns } = layer;
  const times = [windows > 1 ? `${windows} windows` : '', heads > 1 ? plural(heads, 'head') : ''].filter(Boolean);
  const product = `${rows} x ${depth} x ${columns}${times.length > 0 ? ` for ${times.join(' of ')}` : ''}`;
  const isWeight = layer.kind === 'linear';
  return [
    layer.name,
    product,
    formatCount(layer.macs),
    isWeight ? formatBytes(layer.floatBytes) : '-',
    isWeight ? formatBytes(layer.quantizedBytes) : '-',
    operandText(layer.a),
    operandText(layer.b),
  ];
}

function operandText({ type, bits, granularity }: OperandDescription): string {
  if (type === 'pixels') return 'pixels, exact';
  return `${type} ${bits} bits${granularity === null ? '' : ` per ${granularity}`}`;
}

function sum(model: ModelDescription, field: 'floatBytes' | 'quantizedBytes'): string {
  return formatBytes(model.layers.reduce((total, layer) => total + layer[field], 0));
}
