/**
 * Names that checkpoints give to the parameters. A layout is a table from canonical (timm) names to the names in a file; a
 * parameter that a file keeps in several tensors (query, key, value) lists them in order, to be joined along the first axis.
 */
export interface Layout {
  readonly name: string;
  /** `{i}` stands for the number of a block on both sides. The first row that matches a canonical name holds. */
  readonly rows: readonly (readonly [canonical: string, inFile: readonly string[]])[];
}

const timmNames = [
  'cls_token',
  'dist_token',
  'pos_embed',
  'patch_embed.proj.weight',
  'patch_embed.proj.bias',
  ...['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'].flatMap((layer) => [
    `blocks.{i}.${layer}.weight`,
    `blocks.{i}.${layer}.bias`,
  ]),
  'norm.weight',
  'norm.bias',
  'head.weight',
  'head.bias',
  'head_dist.weight',
  'head_dist.bias',
];

/** Every layout that is read; the first whose names are in the file is taken. */
export const layouts: readonly Layout[] = [{ name: 'timm', rows: timmNames.map((name) => [name, [name]]) }];

/** What training wrappers put before every name. */
const prefixes = ['', 'model.', 'module.', 'module.model.'];

/** Names in the file of one canonical parameter. */
export type NameLookup = (canonical: string) => readonly string[];

/**
 * The layout and prefix under which `names` has most of the `canonical` parameters: the first one on a draw, so a file
 * that fits nothing is reported in timm's own names.
 */
export function findLayout(names: ReadonlySet<string>, canonical: readonly string[]): NameLookup {
  const lookups = layouts.flatMap((layout) => prefixes.map((prefix) => lookup(layout, prefix)));
  const found = (names_: NameLookup) => canonical.filter((c) => names_(c).every((name) => names.has(name))).length;
  return lookups.reduce((best, next) => (found(next) > found(best) ? next : best));
}

function lookup(layout: Layout, prefix: string): NameLookup {
  const table = new Map(layout.rows);
  return (canonical) => {
    const block = /^blocks\.(\d+)\./.exec(canonical)?.[1];
    const inFile = table.get(block === undefined ? canonical : canonical.replace(`.${block}.`, '.{i}.'));
    if (!inFile) throw new Error(`layout ${layout.name} has no row for ${canonical}`);
    return inFile.map((name) => prefix + name.replace('{i}', block ?? ''));
  };
}
