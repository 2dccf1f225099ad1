/** A float product of an input with a constant: `output = input x weight`, per head where they have heads. */
export interface OnnxProduct {
  readonly weight: Float32Array<ArrayBuffer>;
  readonly output: string;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Field numbers of onnx.proto, as far as they are written here. */
const MODEL = { irVersion: 1, graph: 7, opsetImport: 8 } as const;
const OPSET = { version: 2 } as const;
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
const NODE = { input: 1, output: 2, opType: 4 } as const;
const TENSOR = { dims: 1, dataType: 2, name: 8, rawData: 9 } as const;
const VALUE = { name: 1, type: 2 } as const;
const FLOAT = 1;
const IR_VERSION = 8;
const OPSET_VERSION = 17;

/**
 * An ONNX model of `products` of one input, as the bytes of its protobuf.
 *
 * @param shape.left of the input `input`, `[rows, depth]` or `[heads, rows, depth]`
 * @param shape.right of every weight
 * @param shape.product of every output
 */
export function onnxModel(
  products: readonly OnnxProduct[],
  shape: Readonly<Record<'left' | 'right' | 'product', readonly number[]>>,
): Bytes {
  const graph = join(
    ...products.flatMap(({ output, weight }) => [
      field(GRAPH.node, matMul('input', `${output}.weight`, output)),
      field(GRAPH.initializer, floatTensor(`${output}.weight`, shape.right, weight)),
      field(GRAPH.output, floatValue(output, shape.product)),
    ]),
    field(GRAPH.name, text('products')),
    field(GRAPH.input, floatValue('input', shape.left)),
  );
  return join(
    number(MODEL.irVersion, IR_VERSION),
    field(MODEL.graph, graph),
    field(MODEL.opsetImport, number(OPSET.version, OPSET_VERSION)),
  );
}

function matMul(a: string, b: string, output: string): Bytes {
  return join(
    field(NODE.input, text(a)),
    field(NODE.input, text(b)),
    field(NODE.output, text(output)),
    field(NODE.opType, text('MatMul')),
  );
}

function floatTensor(name: string, dims: readonly number[], values: Float32Array<ArrayBuffer>): Bytes {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return join(
    ...dims.map((size) => number(TENSOR.dims, size)),
    number(TENSOR.dataType, FLOAT),
    field(TENSOR.name, text(name)),
    field(TENSOR.rawData, raw),
  );
}

/** A ValueInfoProto; its type is a TypeProto of a tensor, whose shape is a list of dimensions, each in field 1. */
function floatValue(name: string, dims: readonly number[]): Bytes {
  const shape = join(...dims.map((size) => field(1, number(1, size))));
  const tensorType = join(number(1, FLOAT), field(2, shape));
  return join(field(VALUE.name, text(name)), field(VALUE.type, field(1, tensorType)));
}

function field(id: number, contents: Bytes): Bytes {
  return join(varint(8 * id + 2), varint(contents.length), contents);
}

function number(id: number, value: number): Bytes {
  return join(varint(8 * id), varint(value));
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.of(...bytes, rest);
    bytes.push((rest % 128) + 128);
  }
}

function text(value: string): Bytes {
  return new TextEncoder().encode(value);
}

function join(...parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
