/** The text of the kernels, with their comments, fetched when it is asked for. */
import type { LayerResult } from './record.ts';

/** Those that `kernelsOf` names. */
const addresses = import.meta.glob<string>(
  '../shaders/{matmul_requantize,int_layer_norm,int_softmax,int_gelu,patch_codes,lib_requantize}.wgsl',
  { query: '?url', import: 'default', eager: true },
);

/** Names of the kernels that run a layer in a session: the product, what makes the codes that it reads, and what both append. */
export function kernelsOf({ report: { name, operand } }: LayerResult): readonly string[] {
  return ['matmul_requantize', ...makerOf(name, operand), 'lib_requantize'];
}

function makerOf(name: string, operand: LayerResult['report']['operand']): string[] {
  if (operand === 'post-softmax') return ['int_softmax'];
  if (operand === 'post-gelu') return ['int_gelu'];
  if (operand === 'pixels') return ['patch_codes'];
  return /\.(qkv|q|k|v|fc1|reduction)$|^head$/.test(name) ? ['int_layer_norm'] : []; // the others read what a product wrote
}

/** The text of a kernel as it is in the repository. */
export async function kernelText(name: string): Promise<string> {
  const address = addresses[`../shaders/${name}.wgsl`];
  if (address === undefined) throw new Error(`there is no kernel ${name}`);
  const response = await fetch(new URL(address, document.baseURI));
  if (!response.ok) throw new Error(`the text of ${name} cannot be had: HTTP ${response.status}`);
  return response.text();
}
