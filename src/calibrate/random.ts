/**
 * A counter-based generator: the same words for the same keys on every machine, whatever the order of the draws.
 * Philox-2x32 with 10 rounds (Salmon et al., SC 2011), checked against the vectors of the authors' Random123.
 */
export function philox2x32(counter: readonly [number, number], key: number): [number, number] {
  let [x0, x1] = [counter[0] >>> 0, counter[1] >>> 0];
  let k = key >>> 0;
  for (let round = 0; round < 10; round++) {
    const product = BigInt(x0) * 0xd256d193n;
    const high = Number(product >> 32n);
    const low = Number(product & 0xffffffffn);
    x0 = (high ^ k ^ x1) >>> 0;
    x1 = low;
    k = (k + 0x9e3779b9) >>> 0;
  }
  return [x0, x1];
}
