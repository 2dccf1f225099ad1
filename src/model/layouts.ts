/**
 * Names that checkpoints give to the parameters. A layout is a table from canonical names (those of timm, Swin as in timm 0.5) to
 * the names in a file; a parameter that a file keeps in several tensors (query, key, value) lists them in order, to be joined
 * along the first axis. In a table `{0}` and `{1}` stand for the first and second number of a name; `.weight` and `.bias` are
 * left out. A name without a row is the canonical one.
 */
export interface Layout {
  readonly name: string;
  /** Inside the base model: its prefix (`vit.`) comes before them. */
  readonly base: Rows;
  /** Beside the base model. */
  readonly heads: Rows;
  /** What checkpoints hold that inference does not read. */
  readonly ignored: readonly string[];
}

type Rows = Readonly<Record<string, readonly string[]>>;

/** Rows of a block: canonical and file prefix, and what comes after them. */
function block(canonical: string, inFile: string, rows: Rows): Rows {
  return Object.fromEntries(
    Object.entries(rows).map(([name, names]) => [`${canonical}.${name}`, names.map((each) => `${inFile}.${each}`)]),
  );
}

const legacyBlock = (attention: string): Rows => ({
  norm1: ['layernorm_before'],
  'attn.qkv': ['query', 'key', 'value'].map((name) => `attention.${attention}.${name}`),
  'attn.relative_position_bias_table': [`attention.${attention}.relative_position_bias_table`],
  'attn.proj': ['attention.output.dense'],
  norm2: ['layernorm_after'],
  'mlp.fc1': ['intermediate.dense'],
  'mlp.fc2': ['output.dense'],
});

const version5Block: Rows = {
  norm1: ['layernorm_before'],
  'attn.qkv': ['attention.q_proj', 'attention.k_proj', 'attention.v_proj'],
  'attn.relative_position_bias_table': ['attention.relative_position_bias.relative_position_bias_table'],
  'attn.proj': ['attention.o_proj'],
  norm2: ['layernorm_after'],
};

const hubEmbeddings: Rows = {
  cls_token: ['embeddings.cls_token'],
  dist_token: ['embeddings.distillation_token'],
  reg_token: ['embeddings.distillation_token'], // of a DeiT whose only head reads the class token
  pos_embed: ['embeddings.position_embeddings'],
  absolute_pos_embed: ['embeddings.position_embeddings'],
  'patch_embed.proj': ['embeddings.patch_embeddings.projection'],
  'patch_embed.norm': ['embeddings.norm'],
  norm: ['layernorm'],
};

const hubVit = (name: string, rows: Rows): Layout[] => {
  const base = { ...hubEmbeddings, ...rows };
  const ignored = ['pooler.dense', 'embeddings.mask_token'];
  const distilled = { head: ['cls_classifier'], head_dist: ['distillation_classifier'] };
  return [
    { name, base, heads: { head: ['classifier'] }, ignored },
    { name, base, heads: distilled, ignored },
  ];
};

const hubSwin = (name: string, rows: Rows, index: string): Layout => ({
  name,
  base: {
    ...hubEmbeddings,
    ...block('layers.{0}.blocks.{1}', 'encoder.layers.{0}.blocks.{1}', rows),
    ...block('layers.{0}.downsample', 'encoder.layers.{0}.downsample', { norm: ['norm'], reduction: ['reduction'] }),
  },
  heads: { head: ['classifier'] },
  ignored: [`encoder.layers.{0}.blocks.{1}.attention.${index}.relative_position_index`, 'embeddings.mask_token'],
});

const timmSwinBuffers = ['layers.{0}.blocks.{1}.attn_mask', 'layers.{0}.blocks.{1}.attn.relative_position_index'];

/** Every layout that is read; the first of those that fit best is taken. */
export const layouts: readonly Layout[] = [
  { name: 'timm', base: {}, heads: {}, ignored: timmSwinBuffers },
  {
    name: 'timm 0.9',
    base: {
      ...block('layers.{0}.downsample', 'layers.{0+1}.downsample', { norm: ['norm'], reduction: ['reduction'] }),
      head: ['head.fc'],
    },
    heads: {},
    ignored: timmSwinBuffers,
  },
  ...hubVit('Hugging Face', block('blocks.{0}', 'encoder.layer.{0}', legacyBlock('attention'))),
  ...hubVit(
    'Hugging Face v5',
    block('blocks.{0}', 'layers.{0}', { ...version5Block, 'mlp.fc1': ['mlp.fc1'], 'mlp.fc2': ['mlp.fc2'] }),
  ),
  hubSwin('Hugging Face', legacyBlock('self'), 'self'),
  hubSwin(
    'Hugging Face v5',
    { ...version5Block, 'mlp.fc1': ['mlp.fc1'], 'mlp.fc2': ['mlp.fc2'] },
    'relative_position_bias',
  ),
];

/** What wrappers for training and loading put before every name. */
const wrappers = ['', 'model.', 'module.', 'module.model.', 'timm_model.'];
/** The base model inside one with a head. */
const bases = ['', 'vit.', 'deit.', 'swin.'];

/** How one file names the parameters. */
export interface FileNames {
  readonly layout: string;
  /** Names in the file of one canonical parameter. */
  readonly inFile: (canonical: string) => readonly string[];
  /** Whether a name in the file is one that inference does not read. */
  readonly isIgnored: (name: string) => boolean;
}

/**
 * The layout and prefix under which `names` has most of the `canonical` parameters: the first one on a draw, so a file
 * that fits nothing is reported in timm's own names.
 */
export function findLayout(names: ReadonlySet<string>, canonical: readonly string[]): FileNames {
  let best: FileNames | undefined;
  let most = -1;
  for (const layout of layouts) {
    const plain = canonical.map((name) => translate(layout, name));
    for (const wrapper of wrappers) {
      for (const base of bases) {
        const prefixes = { base: wrapper + base, heads: wrapper };
        const found = plain.filter(({ part, inFile }) => inFile.every((name) => names.has(prefixes[part] + name)));
        if (found.length > most) {
          most = found.length;
          best = fileNames(layout, prefixes);
        }
      }
    }
  }
  return best as FileNames;
}

function fileNames(layout: Layout, prefixes: Readonly<Record<'base' | 'heads', string>>): FileNames {
  return {
    layout: layout.name,
    inFile: (canonical) => {
      const { part, inFile } = translate(layout, canonical);
      return inFile.map((name) => prefixes[part] + name);
    },
    isIgnored: (name) =>
      name.startsWith(prefixes.base) && layout.ignored.includes(pattern(name.slice(prefixes.base.length)).module),
  };
}

/** Names in a file without prefixes, and whether that of the base model belongs before them. */
function translate(layout: Layout, canonical: string): { part: 'base' | 'heads'; inFile: readonly string[] } {
  const { module, leaf, numbers } = pattern(canonical);
  const part = layout.heads[module] ? 'heads' : 'base';
  const filled = (layout[part][module] ?? [module]).map(
    (name) =>
      name.replace(/\{(\d)(\+1)?\}/g, (_, place: string, plus?: string) =>
        String((numbers[Number(place)] as number) + (plus ? 1 : 0)),
      ) + leaf,
  );
  return { part, inFile: filled };
}

/** `blocks.3.norm1.weight` is the module `blocks.{0}.norm1`, the leaf `.weight` and the numbers [3]. */
function pattern(name: string): { module: string; leaf: string; numbers: number[] } {
  const leaf = /\.(?:weight|bias)$/.exec(name)?.[0] ?? '';
  const numbers: number[] = [];
  const module = name
    .slice(0, name.length - leaf.length)
    .replace(/(?<=\.)\d+(?=\.|$)/g, (digits) => `{${numbers.push(Number(digits)) - 1}}`);
  return { module, leaf, numbers };
}
