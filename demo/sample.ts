/** The sample that the page brings: the files of `models/sample`, its pictures in one file a set. */
export interface SampleIndex {
  readonly calib: readonly PackedImage[];
  readonly eval: readonly PackedImage[];
}

export interface PackedImage {
  readonly file: string;
  readonly bytes: number;
  readonly label: number;
}

export interface SampleImage {
  readonly file: string;
  readonly label: number;
  readonly content: Blob;
}

/** A file of the sample, from beside the page. */
export async function sampleFile(base: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const address = new URL(`sample/${name}`, base);
  const response = await fetch(address);
  if (!response.ok)
    throw new Error(`${address.href} cannot be had: HTTP ${response.status}. Serve the whole folder of the page.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The first `count` pictures of a set. */
export async function sampleImages(base: string, set: keyof SampleIndex, count: number): Promise<SampleImage[]> {
  const [index, bytes] = await Promise.all([sampleFile(base, 'index.json'), sampleFile(base, `${set}.bin`)]);
  const entries = (JSON.parse(new TextDecoder().decode(index)) as SampleIndex)[set];
  let at = 0;
  return entries.slice(0, count).map(({ file, bytes: size, label }) => {
    const content = new Blob([bytes.subarray(at, (at += size))], { type: 'image/png' });
    return { file, label, content };
  });
}
