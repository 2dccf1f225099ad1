import { FormatError } from '../io/errors.ts';
import { readU32 } from '../io/readTensor.ts';
import { parseSafetensors, type SafetensorsFile } from '../io/safetensors.ts';
import { MODEL_FORMAT, MODEL_VERSIONS } from './manifest.ts';
import type { IntegerModel } from './model.ts';
import type { IntegerProgram } from './program.ts';
import { tablesOf, tableTensor } from './parameterTensors.ts';
import { readManifest } from './readManifest.ts';
import { readParameters } from './readParameters.ts';
import { validateParameters } from './validateParameters.ts';
import { validateProgram } from './validateProgram.ts';
import { newsOf } from './versions.ts';

/**
 * Reads a model file (docs/format.md) and checks everything that inference relies on: that the program is well formed, that every
 * parameter is there, in its dtype and range, and that no accumulator can pass 32 bits. What it allocates is a small multiple of
 * the file, whatever the file claims.
 *
 * @param file name for messages
 * @throws FormatError naming the file, the tensor or operation, and the number seen
 */
export function readModelFile(bytes: Uint8Array, file: string): IntegerModel {
  const { metadata, tensors } = parseSafetensors(bytes, file);
  const { manifest: text, version } = readMetadata(metadata, file);
  const tables = readTables(tensors, file);
  const manifest = readManifest(text, file, tables);
  const { architecture, preprocessing, labels, provenance, program } = manifest;
  validateProgram(program, file);
  const news = version === '2' ? newsOf({ program, preprocessing }) : undefined;
  if (news !== undefined) {
    throw new FormatError(`${file}: the version is "2", which does not know ${news}. Export the model again.`);
  }
  validateSizes({ architecture, preprocessing, program }, file);
  const parameters = readParameters(manifest, tensors, tableNames(program, tables), file);
  validateParameters({ program, ...parameters }, file);
  return { architecture, preprocessing, labels, provenance, program, ...parameters };
}

/** The manifest's text, of a format and a version that this program reads. */
function readMetadata(
  { format, version, manifest, ...others }: Readonly<Record<string, string>>,
  file: string,
): { readonly manifest: string; readonly version: string } {
  if (format !== MODEL_FORMAT) {
    throw new FormatError(
      `${file}: the format is ${shown(format)}, wanted "${MODEL_FORMAT}": this is not a model of twinshift export.`,
    );
  }
  if (version === undefined || !(MODEL_VERSIONS as readonly string[]).includes(version)) {
    const known = MODEL_VERSIONS.map(shown).join(' and ');
    throw new FormatError(
      `${file}: the version is ${shown(version)}, this program reads ${known} only. Export the model again or use the program that wrote it.`,
    );
  }
  const [other] = Object.keys(others);
  if (manifest === undefined || other !== undefined) {
    const fault =
      manifest === undefined ? 'holds no manifest' : `holds ${shown(other)}, which version ${version} does not know`;
    throw new FormatError(`${file}: the metadata ${fault}. Export the model again.`);
  }
  return { manifest, version };
}

function shown(text: string | undefined): string {
  return text === undefined ? 'missing' : JSON.stringify(text.slice(0, 60));
}

/** Tables `tables.0`, `tables.1` and on. */
function readTables(tensors: SafetensorsFile['tensors'], file: string): Uint32Array[] {
  const tables: Uint32Array[] = [];
  for (let entry = tensors.get(tableTensor(0)); entry; entry = tensors.get(tableTensor(tables.length))) {
    if (entry.dtype !== 'U32' || entry.shape.length !== 1) {
      throw new FormatError(
        `${file}: tensor "${entry.name}" is ${entry.dtype} of ${entry.shape.length} dimensions, wanted U32 of 1. Export the model again.`,
      );
    }
    tables.push(readU32(entry));
  }
  return tables;
}

/** Names of the tables that the operations of `program` take, `tables` being all of the file. */
function tableNames(program: IntegerProgram, tables: readonly Uint32Array[]): Set<string> {
  const taken = new Set(tablesOf(program));
  return new Set(tables.flatMap((table, number) => (taken.has(table) ? [tableTensor(number)] : [])));
}

/** The sizes that a model states beside its program are those of the program. */
function validateSizes(
  { architecture, preprocessing, program }: Pick<IntegerModel, 'architecture' | 'preprocessing' | 'program'>,
  file: string,
): void {
  const { width, height } = preprocessing;
  const [pixels, logits] = [program.tensors[program.input], program.tensors[program.output]];
  if (pixels?.columns !== width || pixels.rows !== height) {
    throw new FormatError(
      `${file}: the preprocessing makes ${width} x ${height} pixels, the program takes ${pixels?.columns} x ${pixels?.rows}. Export the model again.`,
    );
  }
  if (logits?.columns !== architecture.numClasses) {
    throw new FormatError(
      `${file}: the architecture has ${architecture.numClasses} classes, the program ${logits?.columns} logits. Export the model again.`,
    );
  }
}
