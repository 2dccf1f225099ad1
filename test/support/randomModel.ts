import type { CalibrationImage } from '../../src/calibrate/imageChunks.ts';
import { sha256 } from '../../src/io/sha256.ts';
import type { ModelConfig, SwinConfig, VitConfig } from '../../src/model/config.ts';
import type { Operation } from '../../src/model/graph.ts';
import type { Model, Parameter } from '../../src/model/load.ts';
import type { Preprocessing } from '../../src/io/preprocess.ts';
import { buildNetwork } from '../../src/model/network.ts';
import { noise } from './floats.ts';

const preprocessing: Preprocessing = {
  ...{ width: 28, height: 28, resizeShortestEdge: 28, interpolation: 'bicubic', cropRounding: 'floor' },
  ...{ rescale: 1 / 255, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
};
const common = { numClasses: 10, qkvBias: true, layerNormEpsilon: 1e-5, preprocessing };

/** 7 x 7 and 4 x 4 tokens in windows of 3 x 3: both stages are padded, and the second block of the first is shifted by 1. */
export const PADDED_SWIN: SwinConfig = {
  ...common,
  ...{ family: 'swin', architecture: 'swin_random', imageSize: 28, patchSize: 4, embedDim: 16 },
  ...{ depths: [2, 1], heads: [2, 4], windowSize: 3, hiddenRatio: 2, patchNorm: true, absolutePosition: false },
};

/** 7 x 7 patches behind a class token and two registers, queries and keys normalised, the mean of the patches to the head. */
export const POOLED_VIT: VitConfig = {
  ...common,
  ...{ family: 'vit', architecture: 'vit_random', imageSize: 28, patchSize: 4, embedDim: 16, depth: 1, heads: 2 },
  ...{ hiddenDim: 32, prefixTokens: 3, classToken: true, distilled: false, registerTokens: 2, embedPrefix: true },
  ...{ globalPool: 'avg', fcNorm: false, qkNorm: true, layerScale: false },
};

/** A model of random parameters that keep every activation lively. */
export function randomModel(config: ModelConfig, seed = 1): Model {
  const network = buildNetwork(config);
  const parameters = new Map<string, Parameter>();
  const add = (name: string, shape: readonly number[], middle: number, reach: number) => {
    if (parameters.has(name)) return;
    const count = shape.reduce((a, b) => a * b, 1);
    const values = noise(count, seed * 1000 + parameters.size, reach).map((value) => middle + value);
    parameters.set(name, { shape, values });
  };
  const addOf = (operation: Operation) => {
    switch (operation.kind) {
      case 'linear': {
        const { weight, bias, outFeatures, inFeatures } = operation;
        add(weight, [outFeatures, inFeatures], 0, 2 / Math.sqrt(inFeatures));
        if (bias !== null) add(bias, [outFeatures], 0, 0.4);
        return;
      }
      case 'layerNorm':
        add(`${operation.name}.weight`, [operation.features], 1, 0.4);
        add(`${operation.name}.bias`, [operation.features], 0, 0.4);
        return;
      case 'tokens':
        for (const prefix of operation.prefix) add(prefix, [operation.features], 0, 1);
        add(operation.position, [operation.prefix.length + operation.rows, operation.features], 0, 0.5);
        return;
      case 'attentionBias':
        add(operation.table, [1 + [...operation.index].reduce((a, b) => Math.max(a, b), 0), operation.heads], 0, 1);
        return;
    }
  };
  network.units.forEach(({ operations }) => operations.forEach(addOf));
  return { config, network, parameters, weightsSha256: '0'.repeat(64) };
}

/** Images of noise, each another one. */
export function noiseImages({ config }: Model, count: number): Promise<CalibrationImage[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const rgb = Uint8Array.from(noise(3 * config.imageSize ** 2, 77 + i, 127), (value) => Math.round(value + 127));
      return { file: `noise-${i}`, sha256: await sha256(rgb), rgb };
    }),
  );
}
