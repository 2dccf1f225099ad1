import { FormatError } from '../io/errors.ts';
import type { ModelConfig } from './config.ts';

/**
 * The config itself when its sizes fit each other.
 *
 * @throws FormatError naming `file` and both sizes: patches that do not cover the image, heads that do not divide the features
 */
export function checkedSizes<Config extends ModelConfig>(config: Config, file: string): Config {
  const { imageSize, patchSize } = config;
  if (imageSize % patchSize !== 0) {
    throw new FormatError(`${file}: patch size ${patchSize} does not divide the image size ${imageSize}`);
  }
  if (config.family === 'vit') {
    checkHeads(config.embedDim, config.heads, file);
    const { classToken, distilled, globalPool } = config;
    if (globalPool === 'token' && !classToken) throw new FormatError(`${file}: globalPool "token" needs a class token`);
    if (distilled && (globalPool !== 'token' || !classToken)) {
      throw new FormatError(`${file}: two heads read two tokens, they cannot be pooled`);
    }
  }
  if (config.family === 'swin') {
    if (config.depths.length !== config.heads.length) {
      throw new FormatError(
        `${file}: ${config.depths.length} stages by their depths, ${config.heads.length} by their heads`,
      );
    }
    config.heads.forEach((heads, stage) => checkHeads(config.embedDim * 2 ** stage, heads, file));
  }
  return config;
}

function checkHeads(features: number, heads: number, file: string): void {
  if (features % heads !== 0) {
    throw new FormatError(`${file}: ${heads} heads do not divide the embedding of ${features} features`);
  }
}
