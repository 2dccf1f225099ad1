import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FormatError } from '../../src/io/errors.ts';
import { listImages } from '../../src/io/listImages.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'twinshift-list-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function refusal(path: string): Promise<string> {
  const error: unknown = await listImages(path).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FormatError);
  return (error as FormatError).message;
}

test('images in byte order of their UTF-8 names, other files counted, folders left alone', async () => {
  // U+FF5E sorts before U+1F600 in UTF-8 and after it in UTF-16, the order of a plain sort
  const names = ['b.JPG', 'a.jpeg', 'Z.WebP', 'é.png', '～.png', '😀.png', '10.jpg', '9.jpg', '.jpg', 'x.tar.PNG'];
  for (const name of [...names, 'labels.csv', 'notes', 'a.jpg.txt', 'c.gif', 'jpg'])
    await writeFile(join(dir, name), '');
  await mkdir(join(dir, 'folder.png'));
  await mkdir(join(dir, 'folder'));
  await symlink(join(dir, 'a.jpeg'), join(dir, 'link.png'));
  await symlink(join(dir, 'nothing'), join(dir, 'broken.png'));
  expect(await listImages(dir)).toEqual({
    files: [
      '.jpg',
      '10.jpg',
      '9.jpg',
      'Z.WebP',
      'a.jpeg',
      'b.JPG',
      'link.png',
      'x.tar.PNG',
      'é.png',
      '～.png',
      '😀.png',
    ],
    ignored: 5,
  });
});

test('a missing folder, a file and an empty folder are named', async () => {
  expect(await refusal(join(dir, 'absent'))).toMatch(/absent: the folder does not exist/);
  await writeFile(join(dir, 'file.png'), '');
  expect(await refusal(join(dir, 'file.png'))).toMatch(/file\.png: not a folder/);
  await mkdir(join(dir, 'empty'));
  expect(await refusal(join(dir, 'empty'))).toMatch(/empty: no image among its 0 files.*\.jpg \.jpeg \.png \.webp/);
  await writeFile(join(dir, 'empty', 'labels.csv'), '');
  expect(await refusal(join(dir, 'empty'))).toMatch(/no image among its 1 files/);
});

test('a name that is not UTF-8 is shown, not read as another name', async () => {
  await writeFile(Buffer.concat([Buffer.from(join(dir, 'a')), Buffer.of(0xff), Buffer.from('.png')]), '');
  expect(await refusal(dir)).toMatch(/file name "aÿ\.png" is not UTF-8/);
});
