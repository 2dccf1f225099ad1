/** What the name of a timm ViT says; absent is the default of its constructor. */
export interface VitArchitecture {
  readonly embedDim: number;
  readonly depth: number;
  readonly heads: number;
  readonly patchSize: number;
  readonly hiddenRatio?: number;
  readonly qkvBias?: boolean;
  readonly distilled?: boolean;
  readonly classToken?: boolean;
  readonly registerTokens?: number;
  readonly embedPrefix?: boolean;
  readonly globalPool?: 'token' | 'avg';
  readonly fcNorm?: boolean;
  readonly layerScale?: boolean;
}

export interface SwinArchitecture {
  readonly embedDim: number;
  readonly depths: readonly number[];
  readonly heads: readonly number[];
  readonly patchSize: number;
  readonly windowSize: number;
}

type Size = Pick<VitArchitecture, 'embedDim' | 'depth' | 'heads' | 'hiddenRatio'>;

function sizesByName<Sizes>(sizes: Readonly<Record<string, Sizes>>): ReadonlyMap<string, Sizes> {
  return new Map(Object.entries(sizes));
}

const size = (embedDim: number, depth: number, heads: number, hiddenRatio = 4): Size => ({
  ...{ embedDim, depth, heads, hiddenRatio },
});

const vitSizes = sizesByName<Size>({
  wee: size(256, 14, 4, 5),
  tiny: size(192, 12, 3),
  little: size(320, 14, 5, 5.6),
  small: size(384, 12, 6),
  medium: size(512, 12, 8),
  mediumd: size(512, 20, 8),
  betwixt: size(640, 12, 10),
  base: size(768, 12, 12),
  large: size(1024, 24, 16),
  huge: size(1280, 32, 16),
  giant: size(1408, 40, 16, 48 / 11),
  gigantic: size(1664, 48, 16, 64 / 13),
});

/** Sizes whose models are pooled and scaled in their own way. */
const scaledSizes = new Set(['wee', 'little', 'medium', 'mediumd', 'betwixt']);

const plain = /^vit_([a-z]+)_patch(\d+)_\d+(?:_in21k|_sam)?(_miil(?:_in21k)?)?$/;
const plus = /^vit_base_patch(\d+)_plus_\d+$/;
const pooled = /^vit_([a-z]+)_patch(\d+)(?:_reg(\d+))?(_gap)?_\d+$/;
const deit = /^deit_(tiny|small|base)(_distilled)?_patch(\d+)_\d+$/;
const deit3 = /^deit3_(small|medium|base|large|huge)_patch(\d+)_\d+(?:_in2[12]ft1k)?$/;

/** A ViT or DeiT by its name in timm, without tag; undefined for names that are no such model, or one of another structure. */
export function vitArchitecture(name: string): VitArchitecture | undefined {
  let [, of, second, third, fourth] = plain.exec(name) ?? [];
  if (of && vitSizes.has(of) && !scaledSizes.has(of)) {
    return { ...(vitSizes.get(of) as Size), patchSize: Number(second), qkvBias: third === undefined };
  }
  [, of] = plus.exec(name) ?? [];
  if (of) return { ...size(896, 12, 14), patchSize: Number(of), layerScale: true };
  [, of, second, third, fourth] = pooled.exec(name) ?? [];
  if (of && vitSizes.has(of) && (third || fourth))
    return pooledArchitecture(of, Number(second), third, fourth !== undefined);
  [, of, second, third] = deit.exec(name) ?? [];
  if (of) return { ...(vitSizes.get(of) as Size), patchSize: Number(third), distilled: second !== undefined };
  [, of, second] = deit3.exec(name) ?? [];
  return of
    ? { ...(vitSizes.get(of) as Size), patchSize: Number(second), embedPrefix: false, layerScale: true }
    : undefined;
}

/** Models with registers (`reg4`), average pooling without class token (`gap`), or both. */
function pooledArchitecture(
  of: string,
  patchSize: number,
  registers: string | undefined,
  gap: boolean,
): VitArchitecture {
  const base = { ...(vitSizes.get(of) as Size), patchSize };
  const scaled = scaledSizes.has(of) && gap;
  const pool = gap ? ({ classToken: false, globalPool: 'avg' } as const) : {};
  if (registers) {
    return { ...base, ...pool, registerTokens: Number(registers), embedPrefix: false, layerScale: scaled };
  }
  const heads = of === 'base' ? 16 : base.heads;
  return { ...base, ...pool, heads, fcNorm: false, layerScale: scaled, qkvBias: !scaled };
}

const swinSizes = sizesByName<Omit<SwinArchitecture, 'patchSize' | 'windowSize'>>({
  tiny: { embedDim: 96, depths: [2, 2, 6, 2], heads: [3, 6, 12, 24] },
  small: { embedDim: 96, depths: [2, 2, 18, 2], heads: [3, 6, 12, 24] },
  base: { embedDim: 128, depths: [2, 2, 18, 2], heads: [4, 8, 16, 32] },
  large: { embedDim: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48] },
});

/** A Swin Transformer (version 1) by its name in timm, without tag. */
export function swinArchitecture(name: string): SwinArchitecture | undefined {
  const [, of, patchSize, windowSize] =
    /^swin_(tiny|small|base|large)_patch(\d+)_window(\d+)_\d+(?:_in22k)?$/.exec(name) ?? [];
  const sizes = of && swinSizes.get(of);
  return sizes ? { ...sizes, patchSize: Number(patchSize), windowSize: Number(windowSize) } : undefined;
}
