import { describe, expect, test } from 'vitest';
import { setAt, valueAt, type OpenModelFile } from '../support/editModelFile.ts';
import { operation, refusedAfter, tensor } from '../support/modelFileRefusal.ts';

describe('the program', () => {
  const moved =
    (name: string, by: number) =>
    ({ manifest }: OpenModelFile) => {
      const list = valueAt(manifest, ['operations']) as { name: string }[];
      const at = list.findIndex((item) => item.name === name);
      list.splice(at + by, 0, ...list.splice(at, 1));
    };

  test.each<[string, (file: OpenModelFile) => void, string]>([
    [
      'reads too early',
      moved('blocks.0.norm1', -1),
      'layerNorm "blocks.0.norm1" reads "tokens" before any operation has written it',
    ],
    [
      'leaves out an operation',
      ({ manifest }) => setAt(manifest, ['operations', 14], undefined),
      'tensor "norm" is read by no operation and is not the output',
    ],
    [
      'writes twice',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'blocks.0.norm2'),
      'layerNorm "norm" writes "blocks.0.norm2", which has been written already',
    ],
    [
      'writes its input',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'pixels'),
      'layerNorm "norm" writes "pixels", which has been written already',
    ],
    [
      'names what is not there',
      ({ manifest }) => setAt(manifest, operation('norm', 'output'), 'toString'),
      'layerNorm "norm" names the tensor "toString", which is not declared',
    ],
    [
      'reads what is not there',
      ({ manifest }) => setAt(manifest, operation('norm', 'input'), 'nowhere'),
      'layerNorm "norm" names the tensor "nowhere"',
    ],
    [
      'has an operation twice',
      ({ manifest }) => setAt(manifest, operation('norm', 'name'), 'head'),
      'two operations are called "head"',
    ],
    [
      'has a tensor that nobody writes',
      ({ manifest }) => setAt(manifest, tensor('more'), ['int16', 1, 1, 1, [1]]),
      'tensor "more" is written by no operation',
    ],
    [
      'makes what nobody reads',
      ({ manifest }) => setAt(manifest, ['output'], 'tokens'),
      'tensor "logits" is read by no operation and is not the output',
    ],
    [
      'begins with something else',
      ({ manifest }) => setAt(manifest, ['input'], 'tokens'),
      'the input "tokens" has layout int16 and 1 heads, wanted pixels and 1',
    ],
    [
      'ends with its input',
      ({ manifest }) => setAt(manifest, ['output'], 'pixels'),
      'tensor "logits" is read by no operation',
    ],
    [
      'has an input that is not declared',
      ({ manifest }) => setAt(manifest, ['input'], 'image'),
      'the program names the tensor "image", which is not declared',
    ],
  ])('%s', (_name, edit, message) => {
    expect(refusedAfter(edit)).toContain(message);
  });

  test('ends with codes, or with several rows', () => {
    const shorter =
      (output: string) =>
      ({ manifest }: OpenModelFile) => {
        const list = valueAt(manifest, ['operations']) as { output?: string; outputs?: [string][] }[];
        const end = list.findIndex((o) => o.output === output || o.outputs?.[0]?.[0] === output);
        const dropped = list.splice(end + 1);
        for (const { output: one, outputs = [] } of dropped) {
          for (const name of [...(one === undefined ? [] : [one]), ...outputs.map(([first]) => first)])
            setAt(manifest, tensor(name), undefined);
        }
        setAt(manifest, ['output'], output);
      };
    expect(refusedAfter(shorter('norm'))).toContain('the output "norm" has layout left, wanted int16 or int32');
    expect(refusedAfter(shorter('blocks.0.x2'))).toContain(
      'the output "blocks.0.x2" has 1 heads of 5 rows, wanted one row of logits',
    );
  });
});
