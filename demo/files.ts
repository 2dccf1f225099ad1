/** Files that were dropped or picked, by what they are. */
export interface GivenFiles {
  readonly model: readonly File[];
  readonly photos: readonly File[];
  /** A quantized model. */
  readonly modelFile: File | undefined;
}

/** Sorts files by their names; other files, such as a read-me in a folder, are left alone. */
export function sortFiles(files: readonly File[]): GivenFiles {
  const isModelFile = ({ name }: File) => name.endsWith('.twinshift.safetensors');
  return {
    model: files.filter((file) => /\.(json|safetensors|bin|pth|pt|ckpt|pkl)$/i.test(file.name) && !isModelFile(file)),
    photos: files.filter(({ name }) => /\.(jpe?g|png|webp)$/i.test(name)),
    modelFile: files.find(isModelFile),
  };
}

/** All files of a drop, those in folders included. */
export async function droppedFiles(items: DataTransferItemList): Promise<File[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null); // before any await
  const files = await Promise.all(entries.map(filesOf));
  return files.flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (more.length === 0) break; // a reader gives its entries in parts
    entries.push(...more);
  }
  const files = await Promise.all(entries.map(filesOf));
  return files.flat();
}
