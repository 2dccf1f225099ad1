import type { Network, Operation, Unit } from '../model/graph.ts';

/** One operation of a network and the names of its tensors across units: the input of a unit is the output of the one before. */
export interface Step<T extends Operation = Operation> {
  readonly unit: Unit;
  readonly operation: T;
}

/** Which operations read a tensor of a network, and what its tensors are called across units. */
export class Dataflow {
  readonly steps: readonly Step[];
  readonly #readers = new Map<string, Step[]>();
  readonly #previous = new Map<Unit, Unit>();

  constructor({ units }: Network) {
    units.forEach((unit, i) => {
      if (i > 0) this.#previous.set(unit, units[i - 1] as Unit);
    });
    this.steps = units.flatMap((unit) => unit.operations.map((operation) => ({ unit, operation })));
    for (const step of this.steps) {
      for (const tensor of new Set(tensorsRead(step.operation))) {
        const name = this.name(step.unit, tensor);
        this.#readers.set(name, [...(this.#readers.get(name) ?? []), step]);
      }
    }
  }

  /** One name for a tensor that two units share. */
  name(unit: Unit, tensor: string): string {
    const previous = tensor === unit.input ? this.#previous.get(unit) : undefined;
    return previous ? this.name(previous, previous.output) : `${unit.name}.${tensor}`;
  }

  /** Operations that read the tensor of this name, in order. */
  readers(name: string): readonly Step[] {
    return this.#readers.get(name) ?? [];
  }
}

function tensorsRead(operation: Operation): string[] {
  switch (operation.kind) {
    case 'matmul':
      return [operation.a.tensor, operation.b.tensor];
    case 'add':
      return [operation.a, operation.b];
    default:
      return [operation.input];
  }
}
