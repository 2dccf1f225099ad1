import { philox2x32 } from '../calibrate/random.ts';

/**
 * All names in the order in which a sample takes them: by the word that a counter-based generator gives to each position.
 * The first n are the sample of n, so that a larger sample holds every smaller one.
 *
 * @param names in a fixed order, such as byte order
 * @param seed 0..2^32 - 1
 */
export function sampleOrder(names: readonly string[], seed: number): string[] {
  return names
    .map((name, position) => ({ name, position, word: philox2x32([position, SAMPLE_STREAM], seed) }))
    .sort((a, b) => a.word[0] - b.word[0] || a.word[1] - b.word[1] || a.position - b.position)
    .map(({ name }) => name);
}

/** Second counter word: keeps these draws apart from others under the same seed. */
const SAMPLE_STREAM = 0x73616d70;
