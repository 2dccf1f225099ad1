export interface Restriction {
  /** Limits in place of the device's. */
  readonly limits?: Partial<Record<keyof GPUSupportedLimits, number>>;
  readonly features?: readonly string[];
  /** Activation buffers larger than this fail for want of memory. */
  readonly memoryForOneBuffer?: number;
}

/** `device` as one with less: it tells other limits and features, and reports large buffers as out of memory. */
export function restrictedDevice(device: GPUDevice, restriction: Restriction): GPUDevice {
  const { memoryForOneBuffer = Infinity } = restriction;
  const limits = new Proxy(device.limits, {
    get(target, name): unknown {
      return restriction.limits?.[name as keyof GPUSupportedLimits] ?? Reflect.get(target, name, target);
    },
  });
  const scopes: { readonly filter: GPUErrorFilter; failed: boolean }[] = [];
  const instead: Partial<Record<string | symbol, unknown>> = {
    limits,
    ...(restriction.features ? { features: new Set(restriction.features) } : {}),
    createBuffer(descriptor: GPUBufferDescriptor) {
      const tooLarge = descriptor.label?.startsWith('activations') && descriptor.size > memoryForOneBuffer;
      if (!tooLarge) return device.createBuffer(descriptor);
      const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
      if (!scope) throw new Error(`nobody looks whether there is memory for ${descriptor.label}`);
      scope.failed = true;
      return device.createBuffer({ ...descriptor, size: 16 });
    },
    pushErrorScope(filter: GPUErrorFilter) {
      scopes.push({ filter, failed: false });
      device.pushErrorScope(filter);
    },
    async popErrorScope() {
      const scope = scopes.pop();
      const error = await device.popErrorScope();
      return scope?.failed ? new GPUOutOfMemoryError('no memory in this test') : error;
    },
  };
  return new Proxy(device, {
    get(target, name) {
      if (name in instead) return instead[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
