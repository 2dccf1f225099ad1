import type { IntegerProgram } from '../format/program.ts';
import { codeWords } from '../kernels/codes.ts';
import { decodeCode, unpackRowMajor } from '../reference/codes.ts';
import type { TensorWords } from './referenceOperations.ts';

/**
 * Where the first token of an image looks in the integer network: by the name of a block, for each head what its codes stand for
 * over all tokens, f32 `[tokens]`. Blocks whose attention is cut into windows, or whose probabilities are levels, are left out.
 *
 * @param words of every tensor for that image
 */
export function integerAttention(
  { operations, tensors }: IntegerProgram,
  words: TensorWords,
): Map<string, Float32Array[]> {
  const found = new Map<string, Float32Array[]>();
  for (const operation of operations) {
    if (operation.kind !== 'softmax') continue;
    const tensor = tensors[operation.output];
    if (!tensor?.codes || (tensor.windows ?? 1) > 1) continue;
    const { kind, bits, shift } = tensor.codes;
    if (kind === 'levels-softmax' || kind === 'levels-gelu') continue;
    const { heads, rows, columns, scales } = tensor;
    const packed = words.get(operation.output) as Uint32Array;
    const rowsOfHeads = Array.from({ length: heads }, (_, head) => {
      const scale = (scales[head] ?? scales[0]) as number;
      const row = unpackRowMajor(packed.subarray(head * rows * codeWords(columns)), 1, columns);
      return Float32Array.from(row, (code) => decodeCode(code & 0xff, { kind, bits, shift }) * scale);
    });
    found.set(operation.name.replace(/\.attn\.softmax$/, ''), rowsOfHeads);
  }
  return found;
}
