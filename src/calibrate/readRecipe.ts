import { JsonReader } from '../io/jsonReader.ts';
import type { LeftQuantizer, RightQuantizer } from '../quantize/floatQuantizer.ts';
import { parseJson } from '../io/parseJson.ts';
import { LEVEL_LIMITS } from '../kernels/quantizeLevels.ts';
import type { LevelsQuantizer, UniformQuantizer } from '../quantize/quantizer.ts';
import { readBlock, readFloatQuantizer, readRestriction, readScales } from './readFloatQuantizer.ts';
import { readOptions } from './readOptions.ts';
import {
  NONLINEAR_METHODS,
  type IntegerRecipe,
  type LayerRecipe,
  type NonlinearMethod,
  type NonlinearRecipe,
  type Recipe,
} from './recipe.ts';

const FORMAT = 'twinshift-recipe';
const VERSION = 4;
const LARGEST_SHIFT = 15;
const LEFT_TYPES = [
  'uniform',
  'twin-softmax',
  'twin-gelu',
  'levels',
  'pixels',
  'block',
  'per-token',
  'published-softmax',
  'published-gelu',
] as const;

/**
 * Reads the text of a `recipe.json` and checks every value of it; members that format version 4 does not know are dropped.
 *
 * @param file name for messages
 * @throws FormatError naming the file, the place and the value seen: no JSON, another format, a version that this program
 *   cannot read, a member that is missing or impossible
 */
export function parseRecipe(text: string, file: string): Recipe {
  const document = new JsonReader(parseJson(text, file), file);
  const format = document.field('format');
  if (format.value !== FORMAT) format.refuse(`"${FORMAT}": this is not a recipe of twinshift`);
  const version = document.field('version');
  if (version.value !== VERSION) {
    version.refuse(
      `${VERSION}: this program reads version ${VERSION} only; quantize again or use the program that wrote it`,
    );
  }
  const model = document.field('model');
  return {
    format: FORMAT,
    version: VERSION,
    model: {
      architecture: model.field('architecture').text(),
      weightsSha256: model.field('weightsSha256').hash(),
      config: model.field('config').value,
    },
    options: readOptions(document.field('options')),
    images: document
      .field('images')
      .items()
      .map((image) => ({ file: image.field('file').text(), sha256: image.field('sha256').hash() })),
    meanWeightBits: document.field('meanWeightBits').number(2, 8),
    meanActivationBits: document.field('meanActivationBits').number(2, 8),
    layers: document.field('layers').items().map(readLayer),
    integer: readInteger(document.field('integer')),
  };
}

function readLayer(layer: JsonReader): LayerRecipe {
  const maxShift = layer.field('maxShift');
  return {
    name: layer.field('name').text(),
    kind: layer.field('kind').word(['linear', 'matmul']),
    a: readActivation(layer.field('a')),
    b: readRight(layer.field('b')),
    score: layer.field('score').number(-Number.MAX_VALUE, Number.MAX_VALUE),
    ...(maxShift.value === undefined ? {} : { maxShift: maxShift.integer(0, LARGEST_SHIFT) }),
  };
}

function readInteger(integer: JsonReader): IntegerRecipe {
  const ranges = integer.field('ranges').entries();
  const seen = new Set<string>();
  return {
    ranges: Object.fromEntries(ranges.map(([name, range]) => [name, range.number(0, Number.MAX_VALUE)])),
    nonlinear: integer
      .field('nonlinear')
      .items()
      .map((item) => {
        const entry = readNonlinear(item);
        const key = `${entry.kind} ${entry.name}`;
        if (seen.has(key)) item.field('name').refuse(`one ${entry.kind} of this name`);
        seen.add(key);
        return entry;
      }),
  };
}

function readNonlinear(entry: JsonReader): NonlinearRecipe {
  const errors = entry.field('errors');
  const values = NONLINEAR_METHODS.map((method): [NonlinearMethod, number | null] => {
    const error = errors.field(method);
    return [method, error.value === null ? null : error.number(0, Number.MAX_VALUE)];
  });
  return {
    name: entry.field('name').text(),
    kind: entry.field('kind').word(['softmax', 'gelu', 'layerNorm']),
    method: entry.field('method').word(NONLINEAR_METHODS),
    errors: Object.fromEntries(values) as Record<NonlinearMethod, number | null>,
  };
}

function readRight(quantizer: JsonReader): RightQuantizer {
  const type = quantizer.field('type').word(['uniform', 'block']);
  return type === 'block' ? readBlock(quantizer) : readUniform(quantizer);
}

function readActivation(quantizer: JsonReader): LeftQuantizer {
  const type = quantizer.field('type').word(LEFT_TYPES);
  const bits = () => quantizer.field('bits').integer(2, 8);
  const shift = () => quantizer.field('shift').integer(0, LARGEST_SHIFT);
  switch (type) {
    case 'uniform':
      return readUniform(quantizer);
    case 'block':
    case 'per-token':
    case 'published-softmax':
    case 'published-gelu':
      return readFloatQuantizer(type, quantizer);
    case 'twin-softmax':
      return {
        type,
        bits: bits(),
        shift: shift(),
        boundary: quantizer.field('boundary').word(['nearest', 'published']),
      };
    case 'twin-gelu':
      return { type, bits: bits(), scaleR2: quantizer.field('scaleR2').scale(), shift: shift() };
    case 'levels':
      return readLevels(quantizer, bits());
    case 'pixels':
      quantizer.field('bits').integer(8, 8);
      return { type, bits: 8 };
  }
}

function readLevels(quantizer: JsonReader, bits: number): LevelsQuantizer {
  const operand = quantizer.field('operand').word(['softmax', 'gelu']);
  const { low, high } = LEVEL_LIMITS[operand];
  const items = quantizer.field('levels').items();
  if (items.length < 1 || items.length > 2 ** bits) quantizer.field('levels').refuse(`1 to ${2 ** bits} levels`);
  const levels = items.map((item) => item.integer(low, high));
  items.forEach((item, i) => {
    if (i > 0 && (levels[i] as number) <= (levels[i - 1] as number)) item.refuse('a level above the one before it');
  });
  return {
    type: 'levels',
    operand,
    family: quantizer.field('family').word(['log2', 'adaptive-log']),
    bits,
    step: quantizer.field('step').scale(),
    levels,
  };
}

function readUniform(quantizer: JsonReader): UniformQuantizer {
  const bits = quantizer.field('bits').integer(2, 8);
  const most = 2 ** (bits - 1) - 1;
  const zeroPoint = quantizer.field('zeroPoint');
  return {
    type: quantizer.field('type').word(['uniform']),
    bits,
    granularity: quantizer.field('granularity').word(['tensor', 'part', 'head', 'channel']),
    scales: readScales(quantizer),
    ...readRestriction(quantizer),
    ...(zeroPoint.value === undefined ? {} : { zeroPoint: zeroPoint.integer(-most, most) }),
  };
}
