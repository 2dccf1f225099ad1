/** The table of docs/models.md: which checkpoint goes how far. `bench/models.ts` fills it, a test holds the page to its form. */
import { LAYOUTS, type LayoutName } from './checkpointLayouts.ts';

/** The tiny random models of test/golden/float, whose logits PyTorch computed. */
export const ARCHITECTURES = [
  { golden: 'vit-plain', name: 'ViT without biases of q, k, v', timmOnly: false },
  { golden: 'vit-distilled', name: 'DeiT, distilled', timmOnly: false },
  { golden: 'vit-registers', name: 'ViT: registers, layer scale, normalised q and k', timmOnly: true },
  { golden: 'vit-pooled', name: 'ViT: no class token, average pooling, `fc_norm`', timmOnly: true },
  { golden: 'vit-averaged', name: 'ViT: class token, register, average pooling', timmOnly: true },
  { golden: 'swin-odd', name: 'Swin: odd sizes, padded and shrunk windows', timmOnly: false },
] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

/** What is tried with each of them, in this order. */
export const STEPS = ['loads', 'float golden', 'quantizes', 'mixed', 'integer-only', 'ONNX'] as const;
export type Step = (typeof STEPS)[number];

export interface TableRow {
  readonly architecture: string;
  readonly layout: LayoutName;
  /** `yes`, a figure, or `no: ` and the reason. */
  readonly cells: Readonly<Record<Step, string>>;
}

/** The pairs that are tried: Hugging Face has no class for the variants of timm's ViT, and the old naming is that of Swin. */
export function tableKeys(): { architecture: Architecture; layout: LayoutName }[] {
  return ARCHITECTURES.flatMap((architecture) =>
    LAYOUTS.filter((layout) => {
      if (layout === 'timm, Swin before 0.9') return architecture.golden.startsWith('swin');
      return layout === 'timm' || !architecture.timmOnly;
    }).map((layout) => ({ architecture, layout })),
  );
}

const BEGIN = '<!-- table: npm run models -->';
const END = '<!-- end of table -->';
const HEADER = ['architecture', 'layout', ...STEPS];

/** `page` with its table made of `rows`. */
export function withTable(page: string, rows: readonly TableRow[]): string {
  const lines = rows.map(({ architecture, layout, cells }) => [
    architecture,
    layout,
    ...STEPS.map((step) => cells[step]),
  ]);
  const table = [HEADER, HEADER.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const [before, after] = around(page);
  return `${before}${BEGIN}\n\n${table}\n\n${END}${after}`;
}

/** The cells of the table in `page`, the header first and without the line under it. */
export function readTable(page: string): string[][] {
  const [before, after] = around(page);
  const lines = page
    .slice(before.length + BEGIN.length, page.length - after.length - END.length)
    .trim()
    .split('\n');
  const rows = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return rows.filter((_, i) => i !== 1);
}

function around(page: string): [before: string, after: string] {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the page has no table between ${BEGIN} and ${END}`);
  return [page.slice(0, begin), page.slice(end + END.length)];
}
