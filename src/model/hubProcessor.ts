import type { Preprocessing } from '../io/preprocess.ts';
import type { Interpolation } from '../io/resize.ts';
import type { JsonFields } from './jsonFields.ts';

/** What a class of image processors takes for absent keys. */
interface ProcessorClass {
  /** An integer as size: the square of it, or the short side. */
  readonly squares: boolean;
  readonly size: number;
  readonly resample: number;
  /** Of the centre crop; undefined where there is none unless asked for. */
  readonly crop?: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const half = [0.5, 0.5, 0.5];
const clip = {
  ...{ squares: false, size: 224, resample: 3, crop: 224 },
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};

/** By their names without the endings FeatureExtractor, ImageProcessor, ImageProcessorFast and ImageProcessorPil. */
const classes: Readonly<Record<string, ProcessorClass>> = {
  ViT: { squares: true, size: 224, resample: 2, mean: half, std: half },
  DeiT: { squares: true, size: 256, resample: 3, crop: 224, mean: half, std: half },
  CLIP: clip,
  Bit: clip,
};

/** The codes of Pillow. */
const filters: readonly Interpolation[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** Keys that change the pixels in a way that is not built, unless their value is one of these. */
const fixedKeys: Readonly<Record<string, readonly unknown[]>> = {
  do_resize: [true],
  do_pad: [false],
  rescale_offset: [false],
  do_flip_channel_order: [false],
  do_reduce_labels: [false],
  crop_pct: [],
};

/**
 * Reads a `preprocessor_config.json` as the processors of Hugging Face that use Pillow do: keys of the file hold whatever the class is,
 * the defaults of the class, which `image_processor_type` or the older `feature_extractor_type` names, only for absent ones.
 *
 * @param type model_type, which chooses the class when the file names none
 * @throws FormatError naming the file, the field and the value seen
 */
export function readHubProcessor(fields: JsonFields, type: 'vit' | 'deit' | 'swin', imageSize: number): Preprocessing {
  for (const [key, allowed] of Object.entries(fixedKeys)) {
    if (fields.has(key) && !allowed.includes(fields.value(key))) {
      throw fields.wrong(key, allowed.length > 0 ? JSON.stringify(allowed[0]) : 'no such key, which is not supported');
    }
  }
  const defaults = readClass(fields, type);
  const fallback = <Key extends keyof ProcessorClass>(key: Key, name: string): NonNullable<ProcessorClass[Key]> => {
    const value = defaults?.[key];
    if (value === undefined)
      throw fields.wrong(name, 'a value: the class of the processor has no known default for it');
    return value;
  };
  const edge = fields.has('size') ? readSize(fields, 'size', () => fallback('squares', 'size')) : sizeOf(fallback);
  const crops = fields.has('do_center_crop') ? fields.flag('do_center_crop') : defaults?.crop !== undefined;
  const target = crops ? readCrop(fields, () => fallback('crop', 'crop_size')) : edge;
  if (typeof target === 'number' || target.width !== imageSize || target.height !== imageSize) {
    throw fields.wrong(
      crops ? 'crop_size' : 'size',
      `${imageSize} x ${imageSize} at the end, the image_size of config.json`,
    );
  }
  const resample = fields.has('resample') ? fields.value('resample') : fallback('resample', 'resample');
  const interpolation = filters[resample as number];
  if (interpolation === undefined) throw fields.wrong('resample', 'a code of Pillow in 0..5');
  const isRescaled = fields.has('do_rescale') ? fields.flag('do_rescale') : true;
  const rescale = fields.has('rescale_factor') ? fields.positive('rescale_factor') : 1 / 255;
  const isNormalized = fields.has('do_normalize') ? fields.flag('do_normalize') : true;
  const std = isNormalized ? readColours(fields, 'image_std', () => fallback('std', 'image_std')) : [1, 1, 1];
  if (!std.every((value) => value > 0)) throw fields.wrong('image_std', 'positive numbers');
  return {
    ...{ width: imageSize, height: imageSize, resizeShortestEdge: edge, interpolation },
    cropRounding: isEven(edge, imageSize) ? 'half-even' : 'floor',
    rescale: isRescaled ? rescale : 1,
    mean: triple(isNormalized ? readColours(fields, 'image_mean', () => fallback('mean', 'image_mean')) : [0, 0, 0]),
    std: triple(std),
  };
}

type Size = Preprocessing['resizeShortestEdge'];

function sizeOf(fallback: { (key: 'size', name: string): number; (key: 'squares', name: string): boolean }): Size {
  const size = fallback('size', 'size');
  return fallback('squares', 'size') ? { width: size, height: size } : size;
}

/** The class of the file or of the model; undefined for one whose defaults are not known. */
function readClass(fields: JsonFields, type: 'vit' | 'deit' | 'swin'): ProcessorClass | undefined {
  const key = ['image_processor_type', 'feature_extractor_type'].find((name) => fields.has(name));
  if (key === undefined) return classes[type === 'deit' ? 'DeiT' : 'ViT'];
  const name = fields.text(key).replace(/(?:FeatureExtractor|ImageProcessor(?:Fast|Pil)?)$/, '');
  return Object.hasOwn(classes, name) ? classes[name] : undefined;
}

/** An integer, `[height, width]`, `{height, width}` or `{shortest_edge}`. */
function readSize(fields: JsonFields, name: string, squares: () => boolean): Size {
  const value = fields.value(name);
  if (typeof value === 'number') {
    const size = fields.size(name);
    return squares() ? { width: size, height: size } : size;
  }
  if (Array.isArray(value) && value.length === 2) {
    const [height, width] = fields.sizes(name) as [number, number];
    return { width, height };
  }
  const size = fields.object(name);
  if (size.has('longest_edge') || size.has('max_height') || size.has('max_width')) {
    throw fields.wrong(name, 'height and width, or shortest_edge alone');
  }
  if (size.has('shortest_edge')) return size.size('shortest_edge');
  return { width: size.size('width'), height: size.size('height') };
}

function readCrop(fields: JsonFields, fallback: () => number): Exclude<Size, number> {
  const size = fields.has('crop_size') ? readSize(fields, 'crop_size', () => true) : fallback();
  return typeof size === 'number' ? { width: size, height: size } : size;
}

/** One number for all colours, or one for each. */
function readColours(fields: JsonFields, name: string, fallback: () => readonly number[]): readonly number[] {
  if (!fields.has(name)) return fallback();
  if (typeof fields.value(name) === 'number') return Array.from({ length: 3 }, () => fields.number(name));
  return fields.numbers(name, 3);
}

function triple(values: readonly number[]): [number, number, number] {
  return [values[0] as number, values[1] as number, values[2] as number];
}

/** Whether both margins of the crop are even for every image, so that both ways to halve them agree. */
function isEven(edge: Size, imageSize: number): boolean {
  return typeof edge !== 'number' && (edge.width - imageSize) % 2 === 0 && (edge.height - imageSize) % 2 === 0;
}
