import { FormatError } from '../io/errors.ts';
import { searchedLayers, type Network, type SearchedOperation } from '../model/graph.ts';
import type { LeftQuantizer } from '../quantize/floatQuantizer.ts';
import { largestLevel } from '../quantize/levels.ts';
import { maxTwinShift, twinShift } from '../quantize/quantizer.ts';
import { blockMisfit, zeroPointMisfit } from './fitBlocks.ts';
import { codesWritten, nonlinearUses } from './nonlinearUses.ts';
import { rangedTensors } from './ranges.ts';
import type { LayerRecipe, Recipe } from './recipe.ts';

/** What a recipe is held against. */
export interface RecipeTarget {
  readonly network: Network;
  readonly weightsSha256: string;
}

/**
 * Refuses a recipe that was not made for this model, or whose layers do not fit its network: another weight file, other
 * layers, a wrong number of scales, a quantizer on an operand of another kind, a shift that could wrap the accumulator, a range
 * or nonlinear operation of the network that was not measured.
 *
 * @throws FormatError naming both files or the layer, with what was seen
 */
export function checkRecipeFits(recipe: Recipe, file: string, target: RecipeTarget, modelName: string): void {
  const { weightsSha256 } = recipe.model;
  if (weightsSha256 !== target.weightsSha256) {
    throw new FormatError(
      `${file} was made for a model.safetensors with SHA-256 ${weightsSha256.slice(0, 12)}..., ` +
        `that of ${modelName} has ${target.weightsSha256.slice(0, 12)}...; give the model it was made for, or quantize this one`,
    );
  }
  const wanted = searchedLayers(target.network);
  for (let i = 0; i < Math.max(wanted.length, recipe.layers.length); i++) {
    const [operation, layer] = [wanted[i], recipe.layers[i]];
    if (!operation || !layer || operation.name !== layer.name || operation.kind !== layer.kind) {
      throw new FormatError(
        `${file}: layer ${i} is ${layer ? `${layer.kind} ${layer.name}` : 'missing'}, the network of ${modelName} has ` +
          (operation ? `${operation.kind} ${operation.name} there` : `only ${wanted.length} layers`),
      );
    }
    const complaint = misfit(operation, layer);
    if (complaint) throw new FormatError(`${file}: layer ${layer.name}: ${complaint}`);
  }
  const missing = missingMeasurement(recipe, target.network);
  if (missing) {
    throw new FormatError(`${file}: ${missing}, which integer inference of ${modelName} needs; quantize it again`);
  }
}

function missingMeasurement({ integer, layers }: Recipe, network: Network): string | undefined {
  for (const { name } of rangedTensors(network)) {
    if (!Object.hasOwn(integer.ranges, name)) return `integer.ranges has no ${name}`;
  }
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  for (const use of nonlinearUses(network)) {
    const { kind, name } = use.operation;
    if (!codesWritten(use, byName.get(use.reader.name), (range) => integer.ranges[range] as number)) continue;
    const found = integer.nonlinear.some((entry) => entry.kind === kind && entry.name === name);
    if (!found) return `integer.nonlinear has no ${kind} ${name}`;
  }
  return undefined;
}

function misfit(operation: SearchedOperation, layer: LayerRecipe): string | undefined {
  const allowed: readonly LeftQuantizer['type'][] =
    operation.kind === 'linear' ? LINEAR_TYPES[operation.operand] : MATMUL_TYPES[operation.operand];
  if (!allowed.includes(layer.a.type)) {
    return `operand a is quantized as ${layer.a.type}, its ${operation.operand} values need ${allowed.join(' or ')}`;
  }
  const depth = operation.kind === 'linear' ? operation.inFeatures : operation.depth;
  if (layer.a.type === 'twin-softmax' || layer.a.type === 'twin-gelu') {
    const most = maxTwinShift(layer.a.bits, layer.b.bits, depth);
    const shift = twinShift(layer.a);
    if (shift > most)
      return `twin shift ${shift} could wrap the 32-bit accumulator, at most ${most} fits depth ${depth}`;
  }
  if (layer.a.type === 'levels') {
    const values = operation.operand === 'post-softmax' ? 'softmax' : 'gelu';
    if (layer.a.operand !== values)
      return `operand a has levels of ${layer.a.operand}, its values are those of ${values}`;
    const most = largestLevel(values, layer.b.bits, depth);
    const level = Math.max(...layer.a.levels.map(Math.abs));
    if (level > most) return `level ${level} could wrap the 32-bit accumulator, at most ${most} fits depth ${depth}`;
  }
  for (const [side, quantizer] of [['a', layer.a] as const, ['b', layer.b] as const]) {
    const blocks = blockMisfit(operation, side, quantizer);
    if (blocks) return blocks;
    if (quantizer.type !== 'uniform') continue;
    const count = groups(operation, side)[quantizer.granularity];
    if (count === undefined) return `operand ${side} cannot have a scale per ${quantizer.granularity}`;
    if (quantizer.scales.length !== count) {
      return `operand ${side} has ${quantizer.scales.length} scales, one per ${quantizer.granularity} makes ${count}`;
    }
    const offset = zeroPointMisfit(operation, side, quantizer);
    if (offset) return offset;
  }
  return undefined;
}

const LINEAR_TYPES = {
  plain: ['uniform', 'block', 'per-token'],
  pixels: ['pixels'],
  'post-gelu': ['twin-gelu', 'levels', 'uniform', 'published-gelu', 'block', 'per-token'],
} as const;

const MATMUL_TYPES = {
  plain: ['uniform'],
  'post-softmax': ['twin-softmax', 'levels', 'uniform', 'published-softmax'],
} as const;

type Groups = Partial<Record<'tensor' | 'part' | 'head' | 'channel', number>>;

function groups(operation: SearchedOperation, side: 'a' | 'b'): Groups {
  if (operation.kind === 'matmul') return { tensor: 1, head: operation.heads };
  return side === 'a' ? { tensor: 1 } : { tensor: 1, part: operation.parts, channel: operation.outFeatures };
}
