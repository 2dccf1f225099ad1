import { parseSafetensors, writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';

/** A model file taken apart, to be changed and put together again without any check. */
export interface OpenModelFile {
  readonly metadata: Record<string, string>;
  /** The parsed manifest, which takes the place of the metadata's unless that was changed. */
  readonly manifest: unknown;
  readonly tensors: Map<string, TensorToWrite>;
}

/** `bytes` after `edit`. */
export function editModelFile(bytes: Uint8Array, edit: (file: OpenModelFile) => void): Uint8Array<ArrayBuffer> {
  const file = parseSafetensors(bytes, 'model');
  const tensors = [...file.tensors].map(([name, { dtype, shape, bytes: data }]): [string, TensorToWrite] => {
    return [name, { name, dtype, shape, data: Uint8Array.from(data) }];
  });
  const text = file.metadata['manifest'] as string;
  const open = { metadata: { ...file.metadata }, manifest: JSON.parse(text) as unknown, tensors: new Map(tensors) };
  edit(open);
  if (open.metadata['manifest'] === text) open.metadata['manifest'] = JSON.stringify(open.manifest);
  return writeSafetensors([...open.tensors.values()], open.metadata);
}

type Place = Record<string | number, unknown>;

/** Sets the value at a path; a word in an array is the `name` of one of its items, undefined removes. */
export function setAt(root: unknown, path: readonly (string | number)[], value: unknown): void {
  let place = root as Place;
  for (const key of path.slice(0, -1)) place = step(place, key) as Place;
  const last = path.at(-1) as string | number;
  if (value === undefined) {
    if (Array.isArray(place)) place.splice(Number(last), 1);
    else Reflect.deleteProperty(place, last);
  } else place[last] = value;
}

/** The value at a path. */
export function valueAt(root: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((place, key) => step(place as Place, key), root);
}

function step(place: Place, key: string | number): unknown {
  if (!Array.isArray(place) || typeof key === 'number') return place[key];
  return place.find((item: Place) => item['name'] === key);
}
