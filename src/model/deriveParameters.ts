import type { ModelConfig, VitConfig } from './config.ts';
import type { Parameter } from './parameters.ts';

/**
 * The parameters that a network reads, from those that a checkpoint has. Layer scale goes into the rows of the layer before it,
 * register tokens and positions without prefix become the rows of one list of tokens, and where queries and keys are
 * normalised `attn.qkv` becomes three layers. Whatever needs none of this is passed on as it is.
 *
 * @param stored all of `parameterShapes`
 */
export function deriveParameters(
  config: ModelConfig,
  stored: ReadonlyMap<string, Parameter>,
): ReadonlyMap<string, Parameter> {
  if (config.family !== 'vit') return stored;
  const derived = new Map<string, Parameter>();
  for (const [name, parameter] of stored) {
    for (const [key, value] of derive(config, stored, name, parameter)) derived.set(key, value);
  }
  return derived;
}

function derive(
  config: VitConfig,
  stored: ReadonlyMap<string, Parameter>,
  name: string,
  parameter: Parameter,
): [string, Parameter][] {
  if (name === 'reg_token') return split(parameter.values, config.registerTokens, [1, 1, config.embedDim], name);
  if (name === 'pos_embed' && !config.embedPrefix) return [[name, withPrefix(config, parameter)]];
  const qkv = /^(.*\.attn\.)qkv(\.\w+)$/.exec(name);
  if (qkv && config.qkNorm) {
    const shape = [(parameter.shape[0] as number) / 3, ...parameter.shape.slice(1)];
    const names = ['q', 'k', 'v'].map((part) => `${qkv[1]}${part}${qkv[2]}`);
    return split(parameter.values, 3, shape).map(([, part], i) => [names[i] as string, part]);
  }
  if (!config.layerScale) return [[name, parameter]];
  if (/\.ls[12]\.gamma$/.test(name)) return [];
  const scaled = /^(blocks\.\d+)\.(attn\.proj|mlp\.fc2)\.\w+$/.exec(name);
  if (!scaled) return [[name, parameter]];
  const gamma = stored.get(`${scaled[1]}.${scaled[2] === 'attn.proj' ? 'ls1' : 'ls2'}.gamma`) as Parameter;
  const perRow = parameter.values.length / gamma.values.length;
  const values = parameter.values.map((value, i) => value * (gamma.values[Math.floor(i / perRow)] as number));
  return [[name, { shape: parameter.shape, values }]];
}

/** Equal parts along the first axis, called `<name>.0`, `<name>.1` and so on. */
function split(values: Float32Array, count: number, shape: readonly number[], name = ''): [string, Parameter][] {
  const size = values.length / count;
  return Array.from({ length: count }, (_, i) => [
    `${name}.${i}`,
    { shape, values: values.slice(i * size, (i + 1) * size) },
  ]);
}

/** Positions that are 0 for the prefix tokens. */
function withPrefix({ prefixTokens, embedDim }: VitConfig, { shape, values }: Parameter): Parameter {
  const padded = new Float32Array(prefixTokens * embedDim + values.length);
  padded.set(values, prefixTokens * embedDim);
  return { shape: [1, (shape[1] as number) + prefixTokens, embedDim], values: padded };
}
