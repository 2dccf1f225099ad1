import type { BufferScope } from '../gpu/buffers.ts';
import { submit, type Dispatch } from '../gpu/kernel.ts';
import { addF32 } from '../kernels/addF32.ts';
import { copyRowsF32 } from '../kernels/copyRowsF32.ts';
import type { Tensors } from './context.ts';
import type { MatrixView, Unit } from './graph.ts';
import { elementsOf } from './tensors.ts';

type Compute = (target: GPUBuffer) => Promise<Dispatch>;

/** Gradients of one unit while its operations are walked backwards; contributions of several consumers are added up. */
export class GradientStore {
  readonly #device: GPUDevice;
  readonly #unit: Unit;
  readonly #images: number;
  readonly #scope: BufferScope;
  readonly #gradients: Tensors;
  /** For tensors that were written in part: 1 for each element of a window that holds a contribution. */
  readonly #written = new Map<string, Uint8Array>();

  constructor(device: GPUDevice, unit: Unit, outputGradient: GPUBuffer, images: number, scope: BufferScope) {
    this.#device = device;
    this.#unit = unit;
    this.#images = images;
    this.#scope = scope;
    this.#gradients = new Map([[unit.output, outputGradient]]);
  }

  get(name: string): GPUBuffer {
    const gradient = this.#gradients.get(name);
    if (!gradient) throw new Error(`${this.#unit.name}: tensor ${name} does not lead to ${this.#unit.output}`);
    return gradient;
  }

  all(): Tensors {
    return this.#gradients;
  }

  /** Adds a contribution that `compute` writes into every element of its target. */
  async add(name: string, compute: Compute): Promise<void> {
    if (this.#gradients.has(name)) return this.#addTo(name, compute, (bytes) => this.#temporary(bytes));
    const target = this.#scope.acquire(this.#bytes(name), `gradient of ${this.#unit.name} ${name}`);
    submit(this.#device, [await compute(target)]);
    this.#gradients.set(name, target);
  }

  /** Adds a contribution that is there already: `buffer` itself becomes the gradient when it is the first one. */
  async share(name: string, buffer: GPUBuffer): Promise<void> {
    if (this.#gradients.has(name)) await this.#sum(name, buffer);
    else this.#gradients.set(name, buffer);
  }

  /**
   * Adds a contribution that `compute` writes into the elements of `view` only: in place when no other contribution has
   * reached them, so that the gradients of q, k and v fill one tensor without copies.
   */
  async addView(
    view: MatrixView,
    windows: number,
    heads: number,
    rows: number,
    columns: number,
    compute: Compute,
  ): Promise<void> {
    const name = view.tensor;
    const elements = viewElements(view, heads, rows, columns); // windows are alike: the first stands for all
    const perWindow = elementsOf(this.#unit, name) / windows;
    let written = this.#written.get(name);
    if (!this.#gradients.has(name)) {
      const label = `gradient of ${this.#unit.name} ${name}`;
      const whole = elements.length === perWindow;
      const target = whole
        ? this.#scope.acquire(this.#bytes(name), label)
        : this.#scope.zeros(this.#bytes(name), label);
      this.#gradients.set(name, target);
      this.#written.set(name, (written = new Uint8Array(perWindow)));
    }
    if (written && elements.every((i) => written[i] === 0)) {
      for (const i of elements) written[i] = 1;
      submit(this.#device, [await compute(this.get(name))]);
    } else {
      await this.#addTo(name, compute, (bytes) => this.#scope.zeros(bytes, `part of the gradient of ${name}`));
    }
  }

  /** Makes sure that no other name, and not the caller's output gradient, shares the buffer of `name`. */
  async separate(name: string): Promise<void> {
    const gradient = this.#gradients.get(name);
    if (!gradient || [...this.#gradients].every(([other, buffer]) => other === name || buffer !== gradient)) return;
    const copy = this.#scope.acquire(this.#bytes(name), `gradient of ${this.#unit.name} ${name}`);
    const columns = this.#images * elementsOf(this.#unit, name);
    const strides = { sourceOffset: 0, sourceOuter: 0, sourceRow: 0, targetOffset: 0, targetOuter: 0, targetRow: 0 };
    submit(this.#device, [
      await copyRowsF32(
        this.#device,
        { source: gradient, destination: copy },
        { images: 1, rows: 1, columns, ...strides },
      ),
    ]);
    this.#gradients.set(name, copy);
  }

  async #addTo(name: string, compute: Compute, acquire: (bytes: number) => GPUBuffer): Promise<void> {
    const part = acquire(this.#bytes(name));
    submit(this.#device, [await compute(part)]);
    await this.#sum(name, part);
  }

  async #sum(name: string, part: GPUBuffer): Promise<void> {
    const sum = this.#scope.acquire(this.#bytes(name), `gradient of ${this.#unit.name} ${name}`);
    const count = this.#images * elementsOf(this.#unit, name);
    submit(this.#device, [await addF32(this.#device, { a: this.get(name), b: part, y: sum }, { count, scale: 1 })]);
    this.#gradients.set(name, sum);
    this.#written.delete(name); // the sum holds contributions everywhere
  }

  #temporary(bytes: number): GPUBuffer {
    return this.#scope.acquire(bytes, `part of a gradient of ${this.#unit.name}`);
  }

  #bytes(name: string): number {
    return 4 * this.#images * elementsOf(this.#unit, name);
  }
}

/** Element numbers of a view inside one window. */
function viewElements(view: MatrixView, heads: number, rows: number, columns: number): Uint32Array {
  const elements = new Uint32Array(heads * rows * columns);
  let i = 0;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row++) {
      const first = view.offset + head * view.headStride + row * view.rowStride;
      for (let column = 0; column < columns; column++) elements[i++] = first + column * view.columnStride;
    }
  }
  return elements;
}
