import { writeSafetensors, type TensorToWrite } from '../../src/io/safetensors.ts';
import type { Preprocessing } from '../../src/io/preprocess.ts';
import type { SwinConfig, VitConfig } from '../../src/model/config.ts';
import { loadModel, type Model } from '../../src/model/load.ts';
import { architectureName } from '../../src/model/storedConfig.ts';
import { inLayout, randomTensors, type LayoutName } from '../../bench/support/checkpointLayouts.ts';

/** A square of `imageSize` pixels, squashed: what the processors of both worlds can be told to do. */
function squashed(imageSize: number): Preprocessing {
  return {
    ...{ width: imageSize, height: imageSize, resizeShortestEdge: { width: imageSize, height: imageSize } },
    ...{ interpolation: 'bicubic', cropRounding: 'half-even', rescale: 1 / 255 },
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
}

/** A ViT of two blocks with 16 features on 16 x 16 pixels, 5 classes. */
export function tinyVit(changes: Partial<VitConfig> = {}): VitConfig {
  const config: VitConfig = {
    ...{ family: 'vit', architecture: '', imageSize: 16, patchSize: 8, embedDim: 16, depth: 2, heads: 2 },
    ...{ hiddenDim: 32, numClasses: 5, prefixTokens: 1, classToken: true, distilled: false, registerTokens: 0 },
    ...{ embedPrefix: true, globalPool: 'token', fcNorm: false, qkNorm: false, layerScale: false, qkvBias: true },
    ...{ layerNormEpsilon: 1e-6, preprocessing: squashed(16), labels: ['a', 'b', 'c', 'd', 'e'] },
    ...changes,
  };
  return { ...config, architecture: architectureName(config) };
}

/** A Swin of three stages, 1 + 2 + 1 blocks, 8 to 32 features, windows of 2 x 2 on 16 x 16 pixels, 4 classes. */
export function tinySwin(changes: Partial<SwinConfig> = {}): SwinConfig {
  const config: SwinConfig = {
    ...{ family: 'swin', architecture: '', imageSize: 16, patchSize: 2, embedDim: 8, depths: [1, 2, 1] },
    ...{ heads: [1, 2, 4], windowSize: 2, hiddenRatio: 2, patchNorm: true, absolutePosition: false, qkvBias: true },
    ...{ layerNormEpsilon: 1e-5, numClasses: 4, preprocessing: squashed(16) },
    ...changes,
  };
  return { ...config, architecture: architectureName(config) };
}

/** Loads random parameters of `config` from the files of a layout, changed by `edit`. */
export async function loadFrom(
  config: VitConfig | SwinConfig,
  layout: LayoutName,
  edit: (tensors: TensorToWrite[]) => TensorToWrite[] = (tensors) => tensors,
): Promise<Model> {
  const files = inLayout(config, randomTensors(config, 7), layout);
  return loadModel({
    configJson: JSON.stringify(files.config),
    preprocessorJson: files.processor === undefined ? undefined : JSON.stringify(files.processor),
    weights: writeSafetensors(edit([...files.tensors])),
    weightsFile: 'm.safetensors',
  });
}
