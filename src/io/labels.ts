/** labels.csv: which class each picture of a folder shows. */
import { parseCsv } from './csv.ts';
import { FormatError } from './errors.ts';

export interface LabelOptions {
  /** Labels are class indices from 0 to this less 1. */
  readonly numClasses: number;
  /** The pictures there are: a name that is not among them is an error. Any name is taken when absent. */
  readonly files?: Iterable<string>;
}

/**
 * The label of each file from CSV text with the columns `file,label` (RFC 4180, byte order mark and CRLF allowed).
 *
 * Throws FormatError naming `file` and the line for another header, a row of more or fewer fields, a label that is no
 * integer in range, and a file named twice or not in `files`.
 */
export function parseLabels(
  content: string | Uint8Array,
  file: string,
  { numClasses, files }: LabelOptions,
): Map<string, number> {
  const [header, ...rows] = parseCsv(typeof content === 'string' ? content : decodeUtf8(content, file), file);
  if (header === undefined || header.fields.join() !== 'file,label') {
    const seen = header === undefined ? 'nothing' : JSON.stringify(header.fields.join().slice(0, 80));
    throw new FormatError(`${file}: line ${header?.line ?? 1}: the header must be "file,label", not ${seen}.`);
  }
  const known = files === undefined ? undefined : new Set(files);
  const labels = new Map<string, number>();
  for (const { fields, line } of rows) {
    const where = `${file}: line ${line}`;
    if (fields.length !== 2) throw new FormatError(`${where}: ${fields.length} fields, expected 2 (file,label).`);
    const [name, text] = fields as [string, string];
    const label = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (!(label < numClasses)) {
      throw new FormatError(
        `${where}: label ${JSON.stringify(text)} of ${JSON.stringify(name)} is not an integer from 0 to ${numClasses - 1}, the classes of the model.`,
      );
    }
    if (labels.has(name)) throw new FormatError(`${where}: ${JSON.stringify(name)} is labelled a second time.`);
    if (known?.has(name) === false) {
      throw new FormatError(`${where}: there is no image ${JSON.stringify(name)}. Add it or remove the line.`);
    }
    labels.set(name, label);
  }
  return labels;
}

function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(`${file}: not UTF-8 text. Save it as UTF-8.`, { cause });
  }
}
