/** A recipe that cannot become an integer model; the message names the layer, the number seen and what to do. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
}

/** Runs `make`, naming the layer in the RangeError that constants outside their integers raise. */
export function forLayer<T>(layer: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ExportError(`${layer} cannot run in integers: ${cause.message}`, { cause });
  }
}
