import type { JsonReader } from '../io/jsonReader.ts';
import type { BlockQuantizer, FloatActivationQuantizer } from '../quantize/floatQuantizer.ts';

/** Most runs of features of one operand. */
const MOST_BLOCKS = 65_536;

/** Reads quantizers whose codes have no product of integers. */
export function readFloatQuantizer(
  type: FloatActivationQuantizer['type'],
  quantizer: JsonReader,
): FloatActivationQuantizer {
  const bits = quantizer.field('bits').integer(2, 8);
  switch (type) {
    case 'block':
      return readBlock(quantizer);
    case 'per-token':
      return { type, bits, ...readRestriction(quantizer) };
    case 'published-softmax':
      return { type, bits, split: quantizer.field('split').number(2 ** -19, 1) };
    case 'published-gelu': {
      const negativeScale = quantizer.field('negativeScale').scale();
      return { type, bits, scales: readScales(quantizer), negativeScale };
    }
  }
}

export function readBlock(quantizer: JsonReader): BlockQuantizer {
  return {
    type: 'block',
    bits: quantizer.field('bits').integer(2, 8),
    rowBlocks: quantizer.field('rowBlocks').integer(1, MOST_BLOCKS),
    columnBlocks: quantizer.field('columnBlocks').integer(1, MOST_BLOCKS),
    scales: readScales(quantizer),
    ...readRestriction(quantizer),
  };
}

export function readScales(quantizer: JsonReader): number[] {
  return quantizer
    .field('scales')
    .items()
    .map((scale) => scale.scale());
}

/** `restricted` of a quantizer, which is true or absent. */
export function readRestriction(quantizer: JsonReader): { readonly restricted?: true } {
  const restricted = quantizer.field('restricted');
  if (restricted.value === undefined) return {};
  if (restricted.value !== true) restricted.refuse('true, or no such member');
  return { restricted: true };
}
