/** The messages of ONNX (onnx.proto) that an exported model consists of, by the numbers of their fields. */
import { bytesField, floatField, integerField, message, messageField, textField, type Wire } from './protobuf.ts';

/** The newest version of the operators that ONNX 1.12 knows, which is what Debian 12 checks with, and its file version. */
export const OPSET = 17;
const IR_VERSION = 8;

/** Element types by their number in `TensorProto.DataType`. */
const ELEMENT_TYPES = { float: 1, int8: 3, int32: 6, int64: 7 } as const;

/** For the operator Cast. */
export const { float: FLOAT, int32: INT32 } = ELEMENT_TYPES;

export type TensorData =
  | { readonly type: 'float'; readonly values: Float32Array }
  | { readonly type: 'int8'; readonly values: Int8Array }
  | { readonly type: 'int32'; readonly values: Int32Array }
  | { readonly type: 'int64'; readonly values: BigInt64Array };

/** A number is an integer attribute, `{ float }` a float one. */
export type Attribute = number | readonly number[] | { readonly float: number };
export type Attributes = Readonly<Record<string, Attribute>>;

/** A constant of the graph. */
export function tensorMessage(name: string, shape: readonly number[], { type, values }: TensorData): Wire {
  return message(
    ...shape.map((size) => integerField(1, size)),
    integerField(2, ELEMENT_TYPES[type]),
    textField(8, name),
    bytesField(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );
}

export function nodeMessage(
  name: string,
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Attributes,
): Wire {
  return message(
    ...inputs.map((input) => textField(1, input)),
    textField(2, output),
    textField(3, name),
    textField(4, operator),
    ...Object.entries(attributes).map(([key, value]) => messageField(5, attributeMessage(key, value))),
  );
}

/** An input or output of f32; a word is a dimension that a caller chooses. */
export function floatValueMessage(name: string, shape: readonly (number | string)[]): Wire {
  const dimensions = shape.map((size) =>
    messageField(1, typeof size === 'string' ? textField(2, size) : integerField(1, size)),
  );
  const tensorType = message(integerField(1, ELEMENT_TYPES.float), messageField(2, message(...dimensions)));
  return message(textField(1, name), messageField(2, messageField(1, tensorType)));
}

/** A whole file. */
export function modelMessage(parts: {
  readonly name: string;
  readonly producer: { readonly name: string; readonly version: string };
  readonly nodes: readonly Wire[];
  readonly constants: readonly Wire[];
  readonly inputs: readonly Wire[];
  readonly outputs: readonly Wire[];
  readonly metadata: Readonly<Record<string, string>>;
}): Wire {
  const graph = message(
    ...parts.nodes.map((node) => messageField(1, node)),
    textField(2, parts.name),
    ...parts.constants.map((constant) => messageField(5, constant)),
    ...parts.inputs.map((input) => messageField(11, input)),
    ...parts.outputs.map((output) => messageField(12, output)),
  );
  return message(
    integerField(1, IR_VERSION),
    textField(2, parts.producer.name),
    textField(3, parts.producer.version),
    messageField(7, graph),
    messageField(8, message(textField(1, ''), integerField(2, OPSET))),
    ...Object.entries(parts.metadata).map(([key, value]) =>
      messageField(14, message(textField(1, key), textField(2, value))),
    ),
  );
}

/** `AttributeProto`: the value, and in field 20 which field holds it. */
function attributeMessage(name: string, value: Attribute): Wire {
  if (typeof value === 'number') return message(textField(1, name), integerField(3, value), integerField(20, 2));
  if ('float' in value) return message(textField(1, name), floatField(2, value.float), integerField(20, 1));
  return message(textField(1, name), ...value.map((each) => integerField(8, each)), integerField(20, 7));
}
