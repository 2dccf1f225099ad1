/** Comma-separated values by RFC 4180. */
import { FormatError } from './errors.ts';

export interface CsvRow {
  readonly fields: readonly string[];
  /** Line on which the row begins, from 1. */
  readonly line: number;
}

/**
 * The rows of `text`: fields quoted or not, `""` for a quote inside quotes, lines ended by LF or CRLF, a byte order mark
 * dropped, empty lines left out.
 *
 * Throws FormatError with the line for a quote that is never closed, or is followed or preceded by other text.
 */
export function parseCsv(text: string, file: string): CsvRow[] {
  const rows: CsvRow[] = [];
  const field = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
  const end = /,|\r?\n|$/y;
  let fields: string[] = [];
  let line = 1;
  let rowLine = 1;
  let position = text.startsWith('\ufeff') ? 1 : 0;
  for (;;) {
    field.lastIndex = position;
    const [whole, quoted, plain] = field.exec(text) as RegExpExecArray;
    end.lastIndex = field.lastIndex;
    const ended = end.exec(text);
    if (ended === null) {
      throw new FormatError(
        `${file}: line ${line}: a quote that is not closed or stands beside other text. Quote the whole field and double the quotes in it.`,
      );
    }
    const isBlankLine = fields.length === 0 && whole === '' && ended[0] !== ',';
    if (!isBlankLine) fields.push(quoted === undefined ? (plain as string) : quoted.replaceAll('""', '"'));
    line += (whole + ended[0]).split('\n').length - 1;
    position = end.lastIndex;
    if (ended[0] === ',') continue;
    if (fields.length > 0) rows.push({ fields, line: rowLine });
    if (ended[0] === '') return rows;
    fields = [];
    rowLine = line;
  }
}
