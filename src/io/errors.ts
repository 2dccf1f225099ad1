/** Input bytes that are not what they should be: the message names the file, the part and the number seen, then what to do. */
export class FormatError extends Error {
  override readonly name: string = 'FormatError';
}

/** The output could not be written (folder in use, disk full, no permission); nothing half-written was left behind. */
export class OutputError extends Error {
  override readonly name: string = 'OutputError';
}
