const ARRAYS = [
  'Int8Array',
  'Uint8Array',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
] as const;

/** Bytes of all typed arrays that `action` makes; views of buffers that exist count nothing. Errors of `action` are kept. */
export function countAllocations(action: () => unknown): { readonly bytes: number; readonly error: unknown } {
  let bytes = 0;
  const globals = globalThis as unknown as Record<string, typeof Uint8Array>;
  const originals = ARRAYS.map((name) => [name, globals[name] as typeof Uint8Array] as const);
  for (const [name, original] of originals) {
    globals[name] = new Proxy(original, {
      construct(target, args: unknown[]) {
        const made = Reflect.construct(target, args) as Uint8Array;
        if (!(args[0] instanceof ArrayBuffer)) bytes += made.byteLength;
        return made;
      },
      get(target, key) {
        if (key !== 'from' && key !== 'of') return Reflect.get(target, key) as unknown;
        return (...args: unknown[]) => {
          const make = Reflect.get(target, key) as (...values: unknown[]) => Uint8Array;
          const made = make.apply(target, args);
          bytes += made.byteLength;
          return made;
        };
      },
    });
  }
  try {
    action();
    return { bytes, error: undefined };
  } catch (error) {
    return { bytes, error };
  } finally {
    for (const [name, original] of originals) globals[name] = original;
  }
}
