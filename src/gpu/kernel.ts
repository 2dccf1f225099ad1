import { GpuError } from './errors.ts';

export type BufferAccess = 'read' | 'read_write' | 'uniform';
export type ParamType = 'u32' | 'i32' | 'f32';

/** One WGSL entry point and its interface. `test/shaders.test.ts` holds it to the shader. */
export interface Kernel<
  Binding extends string = string,
  Param extends string = string,
  Override extends string = string,
> {
  /** File stem, entry point and GPU label: one name for all three. */
  readonly name: string;
  readonly wgsl: string;
  /** Storage bindings in `@binding` order of `@group(0)`; the uniform `params` comes after the last of them. */
  readonly bindings: Readonly<Record<Binding, Exclude<BufferAccess, 'uniform'>>>;
  /** Fields of the uniform struct `Params` in order; each is 4 bytes wide. */
  readonly params: Readonly<Record<Param, ParamType>>;
  /** Every `override` of the shader with its default. */
  readonly overrides: Readonly<Record<Override, number>>;
}

/** Workgroups along x, y and z. */
export type Grid = readonly [x: number, y: number, z: number];

/** Bytes of a buffer that are bound instead of the whole; `offset` is a multiple of the device's storage alignment. */
export interface BufferSlice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

export type Bindable = GPUBuffer | BufferSlice;

/** A compiled kernel bound to its buffers and parameters: plain data, recorded any number of times. */
export interface Dispatch {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly grid: Grid;
  /** Holds the parameters; owned by this dispatch, freed by `release`. */
  readonly params: GPUBuffer;
}

/** Compiles `kernel` (all waiting happens here), writes its parameters and binds `buffers` by name. */
export async function prepare<B extends string, P extends string, O extends string>(
  device: GPUDevice,
  kernel: Kernel<B, P, O>,
  buffers: Readonly<Record<NoInfer<B>, Bindable>>,
  params: Readonly<Record<NoInfer<P>, number>>,
  grid: Grid,
  constants: Partial<Record<NoInfer<O>, number>> = {},
): Promise<Dispatch> {
  checkGrid(device, kernel.name, grid);
  const pipeline = await pipelineFor(device, kernel, { ...kernel.overrides, ...constants });
  const uniform = writeParams(device, kernel, params);
  const names = Object.keys(kernel.bindings) as B[];
  const entries = [...names.map((name) => buffers[name]), uniform].map((bound, binding) => ({
    binding,
    resource: resourceOf(bound),
  }));
  const bindGroup = device.createBindGroup({ label: kernel.name, layout: pipeline.getBindGroupLayout(0), entries });
  return { name: kernel.name, pipeline, bindGroup, grid, params: uniform };
}

function resourceOf(bound: Bindable): GPUBufferBinding {
  return 'buffer' in bound ? { buffer: bound.buffer, offset: bound.offset, size: bound.size } : { buffer: bound };
}

export function record(pass: GPUComputePassEncoder, { pipeline, bindGroup, grid }: Dispatch): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...grid);
}

/** Runs `dispatches` in order in one pass and frees their parameters; buffers written by one are seen by the next. */
export function submit(device: GPUDevice, dispatches: readonly Dispatch[]): void {
  if (dispatches.length === 0) return;
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const dispatch of dispatches) record(pass, dispatch);
  pass.end();
  device.queue.submit([encoder.finish()]);
  for (const dispatch of dispatches) release(dispatch);
}

/** Frees what a dispatch owns; work already submitted still sees it. */
export function release(dispatch: Dispatch): void {
  dispatch.params.destroy();
}

/** Workgroups for `invocations` threads, folded into x and y when x alone would pass the device limit. */
export function gridFor(device: GPUDevice, invocations: number, workgroupSize: number): Grid {
  const groups = Math.ceil(invocations / workgroupSize);
  const y = Math.ceil(groups / device.limits.maxComputeWorkgroupsPerDimension);
  return [Math.ceil(groups / y), y, 1];
}

function checkGrid(device: GPUDevice, name: string, grid: Grid): void {
  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  for (const groups of grid) {
    if (!Number.isInteger(groups) || groups < 1 || groups > limit) {
      throw new GpuError(`${name}: a grid of ${grid.join(' x ')} workgroups is outside 1..${limit} per dimension`);
    }
  }
}

function writeParams(device: GPUDevice, kernel: Kernel, params: Readonly<Record<string, number>>): GPUBuffer {
  const fields = Object.entries(kernel.params);
  const buffer = device.createBuffer({
    label: `${kernel.name} params`,
    size: Math.max(16, 16 * Math.ceil(fields.length / 4)),
    usage: GPUBufferUsage.UNIFORM,
    mappedAtCreation: true,
  });
  const view = new DataView(buffer.getMappedRange());
  fields.forEach(([field, type], i) => {
    const value = params[field] as number;
    if (type === 'f32') return view.setFloat32(4 * i, value, true);
    const [low, high] = type === 'u32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new GpuError(`${kernel.name}: parameter ${field} = ${value} is not a ${type}`);
    }
    if (type === 'u32') view.setUint32(4 * i, value, true);
    else view.setInt32(4 * i, value, true);
  });
  buffer.unmap();
  return buffer;
}

const pipelines = new WeakMap<GPUDevice, Map<string, Promise<GPUComputePipeline>>>();

/** Compiles once a device and constants; concurrent callers share one compilation. */
function pipelineFor(
  device: GPUDevice,
  kernel: Kernel,
  constants: Record<string, number>,
): Promise<GPUComputePipeline> {
  let cache = pipelines.get(device);
  if (!cache) pipelines.set(device, (cache = new Map<string, Promise<GPUComputePipeline>>()));
  const key = `${kernel.name} ${JSON.stringify(constants)}`;
  let pipeline = cache.get(key);
  if (!pipeline) {
    cache.set(key, (pipeline = compile(device, kernel, constants)));
    pipeline.catch(() => cache.delete(key)); // a failure is not remembered
  }
  return pipeline;
}

async function compile(
  device: GPUDevice,
  kernel: Kernel,
  constants: Record<string, number>,
): Promise<GPUComputePipeline> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: kernel.name, code: kernel.wgsl });
  const scope = device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const invalid = await scope;
  if (invalid) {
    const where = messages.map((m) => `  ${kernel.name}.wgsl:${m.lineNum}:${m.linePos} ${m.type}: ${m.message}`);
    throw new GpuError(`${kernel.name}: shader does not compile\n${where.join('\n') || invalid.message}`);
  }
  try {
    return await device.createComputePipelineAsync({
      label: kernel.name,
      layout: 'auto',
      compute: { module, entryPoint: kernel.name, constants },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new GpuError(`${kernel.name}: no pipeline with ${JSON.stringify(constants)}: ${why}`, { cause });
  }
}
