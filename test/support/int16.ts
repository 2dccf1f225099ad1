/** Random 16-bit integers, a quarter of them extremes or next to zero. */
export function randomInt16(count: number, next: () => number): Int16Array<ArrayBuffer> {
  const special = [-32768, 32767, -1, 0, 1];
  return Int16Array.from({ length: count }, () =>
    next() < 0.25 ? (special[Math.floor(5 * next())] as number) : Math.floor(65536 * next()) - 32768,
  );
}
