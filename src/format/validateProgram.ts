import { FormatError } from '../io/errors.ts';
import { validateOperation } from './validateOperation.ts';
import { inputsOf, outputsOf, type IntegerProgram } from './program.ts';

/**
 * Throws unless the operations of a program fit their tensors and each other: every tensor written once, before it is read, and
 * read by someone; layouts, shapes, rescales and constants as each operation asks; products that fit 32 bits whatever the codes.
 *
 * @param file name for messages
 * @throws FormatError naming the file, the operation or tensor and the number seen
 */
export function validateProgram(program: IntegerProgram, file: string): void {
  const { input, output, tensors, operations } = program;
  const refuse = (why: string): never => {
    throw new FormatError(`${file}: ${why}`);
  };
  const tensor = (name: string, by: string) =>
    Object.hasOwn(tensors, name) ? tensors[name] : refuse(`${by} names the tensor "${name}", which is not declared`);

  const pixels = tensor(input, 'the program');
  if (pixels?.layout !== 'pixels' || pixels.heads !== 1 || pixels.windows !== undefined) {
    refuse(`the input "${input}" has layout ${pixels?.layout} and ${pixels?.heads} heads, wanted pixels and 1`);
  }
  const names = new Set<string>();
  const written = new Set([input]);
  const read = new Set([output]);
  for (const operation of operations) {
    const by = `${operation.kind} "${operation.name}"`;
    if (names.has(operation.name)) refuse(`two operations are called "${operation.name}"`);
    names.add(operation.name);
    for (const name of inputsOf(operation)) {
      tensor(name, by);
      if (!written.has(name)) refuse(`${by} reads "${name}" before any operation has written it`);
      read.add(name);
    }
    for (const name of outputsOf(operation)) {
      tensor(name, by);
      if (written.has(name)) refuse(`${by} writes "${name}", which has been written already`);
      written.add(name);
    }
    validateOperation(operation, tensors, file);
  }
  for (const name of Object.keys(tensors)) {
    if (!written.has(name)) refuse(`tensor "${name}" is written by no operation`);
    if (!read.has(name)) refuse(`tensor "${name}" is read by no operation and is not the output`);
  }
  const logits = tensor(output, 'the program');
  if (output === input || !logits || (logits.layout !== 'int16' && logits.layout !== 'int32')) {
    refuse(`the output "${output}" has layout ${logits?.layout}, wanted int16 or int32`);
  } else if (logits.heads !== 1 || logits.rows !== 1) {
    refuse(`the output "${output}" has ${logits.heads} heads of ${logits.rows} rows, wanted one row of logits`);
  } else if (logits.windows !== undefined) {
    refuse(`the output "${output}" has ${logits.windows} windows, wanted one row of logits`);
  }
}
