import type { ModelConfig } from './config.ts';
import { parameterShapes, type Parameter } from './parameters.ts';

/**
 * The way back of `deriveParameters`: the parameters of a checkpoint that make the network compute with these. Where layer scale had
 * gone into the rows of a layer it stays there, and the scale is 1.
 *
 * @param derived by the names of the network
 */
export function storedParameters(
  config: ModelConfig,
  derived: ReadonlyMap<string, Parameter>,
): ReadonlyMap<string, Parameter> {
  const get = (name: string): Float32Array => {
    const found = derived.get(name);
    if (!found) throw new Error(`the network has no parameter ${name}`);
    return found.values;
  };
  const stored = new Map<string, Parameter>();
  for (const [name, shape] of parameterShapes(config))
    stored.set(name, { shape, values: storedValues(config, name, shape, get) });
  return stored;
}

function storedValues(
  config: ModelConfig,
  name: string,
  shape: readonly number[],
  get: (name: string) => Float32Array,
): Float32Array {
  if (config.family !== 'vit') return get(name);
  const count = shape.reduce((a, b) => a * b, 1);
  if (/\.ls[12]\.gamma$/.test(name)) return new Float32Array(count).fill(1);
  if (name === 'reg_token') return joined(Array.from({ length: config.registerTokens }, (_, i) => get(`${name}.${i}`)));
  if (name === 'pos_embed') return get(name).slice(-count);
  const qkv = /^(.*\.attn\.)qkv(\.\w+)$/.exec(name);
  if (qkv && config.qkNorm) return joined(['q', 'k', 'v'].map((part) => get(`${qkv[1]}${part}${qkv[2]}`)));
  return get(name);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return values;
}
