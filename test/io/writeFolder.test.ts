import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OutputError } from '../../src/io/errors.ts';
import { writeFileAtomically, writeFolderAtomically } from '../../src/io/writeFolder.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'twinshift-write-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const files = new Map<string, Uint8Array | string>([
  ['recipe.json', '{"a": "é"}\n'],
  ['deep/er/weights.bin', Uint8Array.of(0, 255, 7)],
]);

/** Every file below `folder` with its content as latin1. */
function tree(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.slice(folder.length + 1)] = readFileSync(path, 'latin1');
  }
  return found;
}
const written = { 'recipe.json': '{"a": "\xc3\xa9"}\n', 'deep/er/weights.bin': '\x00\xff\x07' };

async function failure(action: Promise<void>): Promise<unknown> {
  return action.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function refusal(action: Promise<void>): Promise<OutputError> {
  const error = await failure(action);
  expect(error).toBeInstanceOf(OutputError);
  return error as OutputError;
}

describe('a folder', () => {
  test('is made with its parents, and nothing else is left beside it', async () => {
    await writeFolderAtomically(join(dir, 'a', 'b'), files);
    expect(tree(join(dir, 'a', 'b'))).toEqual(written);
    expect(readdirSync(join(dir, 'a'))).toEqual(['b']);
  });

  test('takes the place of an empty one', async () => {
    mkdirSync(join(dir, 'out'));
    await writeFolderAtomically(join(dir, 'out'), files);
    expect(tree(dir)).toEqual({ 'out/recipe.json': written['recipe.json'], 'out/deep/er/weights.bin': '\x00\xff\x07' });
    expect(readdirSync(dir)).toEqual(['out']);
  });

  test('that is not empty is refused, and with force replaced whole', async () => {
    mkdirSync(join(dir, 'out', 'old'), { recursive: true });
    writeFileSync(join(dir, 'out', 'old', 'x'), 'old');
    const error = await refusal(writeFolderAtomically(join(dir, 'out'), files));
    expect(error.message).toMatch(/out: the folder is not empty \(1 entries\).*--force/);
    expect(tree(dir)).toEqual({ 'out/old/x': 'old' });
    await writeFolderAtomically(join(dir, 'out'), files, { force: true });
    expect(tree(join(dir, 'out'))).toEqual(written);
    expect(readdirSync(dir)).toEqual(['out']);
  });

  test('behind a symbolic link is replaced where it lies', async () => {
    mkdirSync(join(dir, 'real'));
    writeFileSync(join(dir, 'real', 'x'), 'old');
    symlinkSync(join(dir, 'real'), join(dir, 'link'));
    await writeFolderAtomically(join(dir, 'link'), files, { force: true });
    expect(tree(join(dir, 'real'))).toEqual(written);
    expect(readdirSync(dir).sort()).toEqual(['link', 'real']);
  });

  test('is not put over a file, nor under one, nor around the working directory', async () => {
    writeFileSync(join(dir, 'file'), 'mine');
    expect((await refusal(writeFolderAtomically(join(dir, 'file'), files, { force: true }))).message).toMatch(
      /a file of that name/,
    );
    expect((await refusal(writeFolderAtomically(join(dir, 'file', 'out'), files))).message).toMatch(
      /cannot be written \(ENOTDIR/,
    );
    expect(tree(dir)).toEqual({ file: 'mine' });
    for (const around of ['.', '..', '/']) {
      const error = await refusal(writeFolderAtomically(around, new Map(), { force: true }));
      expect(error.message).toMatch(/the working directory lies in this folder/);
    }
  });

  test.each(['', '/etc/x', '../x', 'a/../../x', 'a//b', './a', 'a/', '..', 'a\\..\\b', 'a\0'])(
    'takes no file at %j',
    async (path) => {
      expect(await failure(writeFolderAtomically(join(dir, 'out'), new Map([[path, '']])))).toBeInstanceOf(RangeError);
      expect(readdirSync(dir)).toEqual([]);
    },
  );

  test('that cannot be finished leaves nothing, and the old as it was', async () => {
    const clash = new Map([
      ['a', 'a file'],
      ['a/b', 'a file in a file'],
    ]);
    const error = await refusal(writeFolderAtomically(join(dir, 'new', 'out'), clash));
    expect((error.cause as NodeJS.ErrnoException).code).toMatch(/ENOTDIR|EEXIST/);
    expect(readdirSync(dir)).toEqual([]);
    mkdirSync(join(dir, 'out'));
    writeFileSync(join(dir, 'out', 'x'), 'old');
    await refusal(writeFolderAtomically(join(dir, 'out'), clash, { force: true }));
    expect(tree(dir)).toEqual({ 'out/x': 'old' });
    expect(readdirSync(dir)).toEqual(['out']);
  });

  test('is given up when cancelled, before anything shows', async () => {
    const controller = new AbortController();
    const cancelling = new Map(files);
    cancelling[Symbol.iterator] = function* (this: Map<string, Uint8Array | string>) {
      for (const entry of files) {
        yield entry;
        controller.abort(new Error('Ctrl-C'));
      }
    } as (typeof cancelling)[typeof Symbol.iterator];
    const error = await failure(writeFolderAtomically(join(dir, 'out'), cancelling, { signal: controller.signal }));
    expect((error as Error).message).toBe('Ctrl-C');
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('a file', () => {
  test('is made and replaced in one step', async () => {
    const path = join(dir, 'a', 'run.json');
    await writeFileAtomically(path, 'one');
    await writeFileAtomically(path, Uint8Array.of(0x32));
    expect(tree(dir)).toEqual({ 'a/run.json': '2' });
  });

  test('is not put over a folder', async () => {
    mkdirSync(join(dir, 'folder'));
    expect((await refusal(writeFileAtomically(join(dir, 'folder'), 'x'))).message).toMatch(
      /cannot be written \(EISDIR/,
    );
    expect(readdirSync(dir)).toEqual(['folder']);
  });
});

const large = new Map<string, Uint8Array | string>([
  ['small', 'fits'],
  ['large', new Uint8Array(200_000).fill(1)],
]);

/** Both writers into `place`, where 200 000 bytes have no room. */
async function expectNothingLeft(place: string, code: string): Promise<void> {
  writeFileSync(join(place, 'kept.json'), 'kept');
  mkdirSync(join(place, 'out'));
  writeFileSync(join(place, 'out', 'old'), 'old');
  for (const action of [
    () => writeFolderAtomically(join(place, 'new', 'out'), large),
    () => writeFolderAtomically(join(place, 'out'), large, { force: true }),
    () => writeFileAtomically(join(place, 'kept.json'), large.get('large')!),
  ]) {
    const error = await refusal(action());
    expect(error.message).toMatch(/The disk is full or a limit is reached: make room; nothing was left behind/);
    expect((error.cause as NodeJS.ErrnoException).code).toBe(code);
  }
  expect(tree(place)).toEqual({ 'kept.json': 'kept', 'out/old': 'old' });
  expect(readdirSync(place).sort()).toEqual(['kept.json', 'out']);
}

/** The limit of this process on the size of the files it writes, in bytes: the kernel refuses what goes beyond it. */
function limitFileSize(limit: string): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${limit}:`]);
}

if (process.platform === 'linux') {
  test('beyond the file size limit nothing half-written stays', async () => {
    limitFileSize('65536');
    try {
      await expectNothingLeft(dir, 'EFBIG');
    } finally {
      limitFileSize('unlimited');
    }
    await writeFolderAtomically(join(dir, 'roomy'), large);
    expect(readFileSync(join(dir, 'roomy', 'large')).length).toBe(200_000);
  });
}

/** A file system of 128 KiB, which only a privileged user of Linux can mount. */
function mountSmall(): string | undefined {
  const place = join(tmpdir(), `twinshift-full-${process.pid}`);
  mkdirSync(place, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', place], { stdio: 'ignore' });
    return place;
  } catch {
    process.stderr.write('No right to mount a small disk: fullness is checked by the file size limit alone.\n');
    return undefined;
  }
}

const small = mountSmall();
if (small !== undefined) {
  test('on a full disk nothing half-written stays', async () => {
    try {
      await expectNothingLeft(small, 'ENOSPC');
    } finally {
      execFileSync('umount', [small]);
      await rm(small, { recursive: true });
    }
    expect(existsSync(small)).toBe(false);
  });
}
