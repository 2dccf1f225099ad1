import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { normalizePixels } from '../../src/io/preprocess.ts';
import type { Model } from '../../src/model/load.ts';

/** Runs an exported file by ONNX Runtime: logits of preprocessed images, all in one batch. */
export async function onnxLogits(file: Uint8Array, model: Model, images: readonly Uint8Array[]): Promise<Float32Array> {
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1 });
  try {
    const { imageSize, preprocessing, numClasses } = model.config;
    const perImage = 3 * imageSize ** 2;
    const pixels = new Float32Array(images.length * perImage);
    images.forEach((rgb, i) => pixels.set(normalizePixels(rgb, preprocessing), i * perImage));
    const input = new Tensor('float32', pixels, [images.length, 3, imageSize, imageSize]);
    const { logits } = await session.run({ pixel_values: input });
    if (logits?.dims.join() !== [images.length, numClasses].join())
      throw new Error(`logits have ${logits?.dims.join()}`);
    return logits.data as Float32Array;
  } finally {
    await session.release();
  }
}

let announced = false;

/**
 * What the checker of ONNX (Debian's python3-onnx, which the set-up of the tests installs) says of a file, shapes inferred: empty when
 * it is valid. Where there is no checker, said once on stderr, ONNX Runtime alone judges.
 */
export function checkerComplaint(file: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'twinshift-onnx-'));
  try {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, file);
    const script = 'import sys, onnx; onnx.checker.check_model(sys.argv[1], full_check=True)';
    const { status, stderr, error } = spawnSync('/usr/bin/python3', ['-c', script, path], { encoding: 'utf8' });
    if (status === 0) return '';
    if (!error && !stderr.includes('ModuleNotFoundError')) return stderr;
    if (!announced) process.stderr.write('No checker of ONNX (python3-onnx): exported files are run, not checked.\n');
    announced = true;
    return '';
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The fields of a message by number; read without a schema, from the wire format alone. */
export type Fields = ReadonlyMap<number, readonly (bigint | Uint8Array)[]>;

export function readMessage(bytes: Uint8Array): Fields {
  const fields = new Map<number, (bigint | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (count: number) => bytes.subarray(at, (at += count));
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const value = wire === 0 ? varint() : take(wire === 2 ? Number(varint()) : wire === 5 ? 4 : 8);
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Integer attributes. */
  readonly integers: Readonly<Record<string, number>>;
}

export interface OnnxConstant {
  readonly type: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What is asserted of a file. */
export interface OnnxFile {
  readonly irVersion: number;
  /** Versions by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxConstant>;
}

export function readOnnx(file: Uint8Array): OnnxFile {
  const text = (value: bigint | Uint8Array | undefined) =>
    value === undefined ? '' : new TextDecoder().decode(value as Uint8Array);
  const all = (fields: Fields, field: number) => fields.get(field) ?? [];
  const messages = (fields: Fields, field: number) =>
    all(fields, field).map((value) => readMessage(value as Uint8Array));
  const model = readMessage(file);
  const graph = messages(model, 7)[0]!;
  const nodes = messages(graph, 1).map((node) => {
    const attributes = messages(node, 5).flatMap((attribute) => {
      const [integer] = all(attribute, 3);
      return integer === undefined ? [] : [[text(all(attribute, 1)[0]), Number(BigInt.asIntN(64, integer as bigint))]];
    });
    return {
      operator: text(all(node, 4)[0]),
      inputs: all(node, 1).map(text),
      output: text(all(node, 2)[0]),
      integers: Object.fromEntries(attributes) as Record<string, number>,
    };
  });
  const constants = messages(graph, 5).map((tensor): [string, OnnxConstant] => [
    text(all(tensor, 8)[0]),
    { type: Number(all(tensor, 2)[0]), shape: all(tensor, 1).map(Number), bytes: all(tensor, 9)[0] as Uint8Array },
  ]);
  return {
    irVersion: Number(all(model, 1)[0]),
    opsets: Object.fromEntries(messages(model, 8).map((set) => [text(all(set, 1)[0]), Number(all(set, 2)[0])])),
    metadata: Object.fromEntries(messages(model, 14).map((pair) => [text(all(pair, 1)[0]), text(all(pair, 2)[0])])),
    nodes,
    constants: new Map(constants),
  };
}
