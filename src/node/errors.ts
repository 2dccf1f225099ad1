/** Something that the caller named is not there, cannot be read or is too little; the message names it and says what to do. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is a file',
  EISDIR: 'is a folder, not a file',
  EACCES: 'may not be read: permission denied',
  EPERM: 'may not be read: operation not permitted',
  ELOOP: 'cannot be followed: too many links',
  ENAMETOOLONG: 'has a name that is too long',
  ERR_FS_FILE_TOO_LARGE: 'is too large to read (over 2 GiB)',
  EMFILE: 'could not be opened: too many open files',
  EIO: 'could not be read: input/output error of the disk',
};

/** The error of reading `path` in words; other errors are returned as they are. */
export function readError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const words = code === undefined ? undefined : READ_ERRORS[code];
  return words === undefined ? error : new InputError(`${path} ${words}`, { cause: error });
}
