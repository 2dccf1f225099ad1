import type { IntegerModel, LinearParameters, NormParameters } from '../../src/format/model.ts';
import type { IntegerCodes, IntegerOperation, IntegerTensor, LinearOperation } from '../../src/format/program.ts';
import { codesOf } from '../../src/export/programDraft.ts';
import { dyadic } from '../../src/kernels/dyadic.ts';
import type { IntGeluMethod } from '../../src/kernels/geluConstants.ts';
import { layerNormConstants, type IntLayerNormForm } from '../../src/kernels/layerNormConstants.ts';
import type { IntSoftmaxMethod } from '../../src/kernels/softmaxConstants.ts';
import { logLevels } from '../../src/quantize/levels.ts';
import {
  geluForm,
  probabilityRescales,
  softmaxForm,
  type GeluQuantizer,
  type SoftmaxQuantizer,
} from '../../src/quantize/nonlinear.ts';
import { initialScale, steps, type UniformQuantizer } from '../../src/quantize/quantizer.ts';
import { random } from './codes.ts';

export interface TinyIntegerModelOptions {
  readonly imageSize: number;
  /** A divisor of the size. */
  readonly patchSize: number;
  readonly embedDim: number;
  /** Their size `embedDim / heads` is a multiple of 4. */
  readonly heads: number;
  readonly hiddenDim: number;
  readonly depth: number;
  readonly numClasses: number;
  readonly prefixRows: number;
  readonly weightBits: number;
  /** Of all codes but those of the pixels. */
  readonly activationBits: number;
  /** Codes after softmax and GELU. */
  readonly after: 'twin' | 'uniform' | 'levels';
  /** Their twin shift. */
  readonly shift: number;
  readonly softmax: IntSoftmaxMethod;
  /** `shift` and `lut-codes` read 8-bit codes, the others int16. */
  readonly gelu: IntGeluMethod;
  readonly norm: IntLayerNormForm;
}

const DEFAULTS: TinyIntegerModelOptions = {
  imageSize: 16,
  patchSize: 8,
  embedDim: 24,
  heads: 2,
  hiddenDim: 40,
  depth: 2,
  numClasses: 5,
  prefixRows: 1,
  weightBits: 8,
  activationBits: 8,
  after: 'twin',
  shift: 3,
  softmax: 'lut',
  gelu: 'lut',
  norm: 'fixed',
};

/**
 * A valid ViT of random weights with every kind of operation, as `exportModel` would make it: scales that hold the activations,
 * int16 stream, q, k and v with a scale a head, one scale a head after softmax where codes are uniform, logits of int16.
 */
export function tinyIntegerModel(seed: number, overrides: Partial<TinyIntegerModelOptions> = {}): IntegerModel {
  const options = { ...DEFAULTS, ...overrides };
  const { imageSize, patchSize, embedDim, heads, hiddenDim, depth, numClasses, prefixRows } = options;
  const network = new TinyNetwork(seed, options);
  const patches = (imageSize / patchSize) ** 2;
  const rows = prefixRows + patches;

  network.tensor('pixels', { layout: 'pixels', heads: 1, rows: imageSize, columns: imageSize, scales: [1 / 128] });
  const patchInput = {
    layout: 'left',
    heads: 1,
    rows: patches,
    columns: 3 * patchSize ** 2,
    scales: [1 / 128],
  } as const;
  network.tensor('patches', { ...patchInput, codes: { kind: 'uniform', bits: 8, shift: 0 } });
  network.operations.push({ kind: 'patches', name: 'patches', input: 'pixels', output: 'patches', patchSize });
  network.stream('embedded', patches, embedDim, 16);
  network.linear('patch_embed.proj', 'patches', ['embedded']);
  network.stream('tokens', rows, embedDim, 16);
  const tokens = network.noise((prefixRows + patches) * embedDim, 0.5 / network.scale('embedded'));
  network.tokens.set('pos_embed', { values: Int16Array.from(tokens) });
  network.operations.push({ kind: 'tokens', name: 'pos_embed', input: 'embedded', output: 'tokens', prefixRows });

  let x = 'tokens';
  for (let block = 0; block < depth; block++) {
    const at = (name: string) => `blocks.${block}.${name}`;
    network.norm(at('norm1'), x, at('norm1'), null);
    const headDim = embedDim / heads;
    const perHead = Array.from({ length: heads }, (_, head) => 4 + head);
    network.codes(at('attn.q'), 'left', heads, rows, headDim, perHead);
    network.codes(at('attn.k'), 'right-transposed', heads, rows, headDim, perHead);
    network.codes(at('attn.v'), 'right', heads, rows, headDim, perHead);
    network.linear(at('attn.qkv'), at('norm1'), [at('attn.q'), at('attn.k'), at('attn.v')]);
    network.attention(at('attn'), rows, headDim);
    network.stream(at('x1'), rows, embedDim, 18 + 2 * block);
    network.linear(at('attn.proj'), at('attn.merged'), [at('x1')], x);
    network.norm(at('norm2'), at('x1'), at('norm2'), null);
    network.gelu(at('mlp'), at('norm2'), rows, hiddenDim);
    network.stream(at('x2'), rows, embedDim, 19 + 2 * block);
    network.linear(at('mlp.fc2'), at('mlp.gelu'), [at('x2')], at('x1'));
    x = at('x2');
  }
  network.norm('norm', x, 'norm', 0);
  network.stream('logits', 1, numClasses, 8);
  network.linear('head', 'norm', ['logits']);

  return {
    architecture: { name: 'tiny', imageSize, patchSize, embedDim, depth, heads, hiddenDim, numClasses },
    preprocessing: {
      width: imageSize,
      height: imageSize,
      resizeShortestEdge: imageSize + 2,
      interpolation: 'bicubic',
      cropRounding: 'half-even',
      rescale: 1 / 255,
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    },
    labels: Array.from({ length: numClasses }, (_, i) => `class ${i}`),
    provenance: {
      weightsSha256: '0123456789abcdef'.repeat(4),
      recipeSha256: 'fedcba9876543210'.repeat(4),
      options: { weightBits: options.weightBits, metric: 'hessian' },
      calibrationImages: 4,
      writtenBy: 'tinyIntegerModel',
    },
    program: { input: 'pixels', output: 'logits', tensors: network.tensors, operations: network.operations },
    linear: network.linears,
    norms: network.norms,
    tokens: network.tokens,
    biases: new Map(),
  };
}

/** Codes of `bits` with scales of their own that hold up to `largest`. */
function uniform(bits: number, granularity: 'tensor' | 'head', largest: readonly number[]): UniformQuantizer {
  return { type: 'uniform', bits, granularity, scales: largest.map((most) => initialScale(most, bits)) };
}

/** Collects tensors, operations and parameters. */
class TinyNetwork {
  readonly tensors: Record<string, IntegerTensor> = {};
  readonly operations: IntegerOperation[] = [];
  readonly linears = new Map<string, LinearParameters>();
  readonly norms = new Map<string, NormParameters>();
  readonly tokens = new Map<string, { readonly values: Int16Array }>();
  readonly #options: TinyIntegerModelOptions;
  readonly #next: () => number;

  constructor(seed: number, options: TinyIntegerModelOptions) {
    this.#options = options;
    this.#next = random(seed);
  }

  tensor(name: string, tensor: IntegerTensor): void {
    this.tensors[name] = tensor;
  }

  scale(name: string, head = 0): number {
    const { scales } = this.#tensor(name);
    return scales[Math.min(head, scales.length - 1)] as number;
  }

  /** Roughly normal values of a deviation, rounded. */
  noise(count: number, deviation: number): number[] {
    return Array.from({ length: count }, () => Math.round(this.#normal() * deviation));
  }

  /** int16 that holds -range..range. */
  stream(name: string, rows: number, columns: number, range: number): void {
    this.tensor(name, { layout: 'int16', heads: 1, rows, columns, scales: [range / 32767] });
  }

  codes(
    name: string,
    layout: 'left' | 'right' | 'right-transposed',
    heads: number,
    rows: number,
    columns: number,
    ranges: readonly number[],
  ): void {
    const { activationBits: bits } = this.#options;
    const scales = ranges.map((range) => range / (2 ** (bits - 1) - 1));
    this.tensor(name, { layout, heads, rows, columns, scales, codes: { kind: 'uniform', bits, shift: 0 } });
  }

  norm(name: string, input: string, output: string, row: number | null): void {
    const { rows, columns } = this.#tensor(input);
    this.codes(output, 'left', 1, row === null ? rows : 1, columns, [4]);
    const gamma = Array.from({ length: columns }, () => 1 + 0.2 * this.#normal());
    const beta = Array.from({ length: columns }, () => 0.2 * this.#normal());
    const floatEpsilon = 1e-6;
    const { gain, bias, epsilon } = layerNormConstants(this.#options.norm, {
      gamma,
      beta,
      epsilon: floatEpsilon,
      xScale: this.scale(input),
      yScale: this.scale(output),
    });
    this.norms.set(name, {
      multipliers: gain.filter((_, i) => i % 2 === 0),
      shifts: Uint8Array.from(gain.filter((_, i) => i % 2 === 1)),
      bias,
    });
    this.operations.push({
      kind: 'layerNorm',
      name,
      input,
      output,
      row,
      form: this.#options.norm,
      epsilon,
      floatEpsilon,
    });
  }

  /** Weights of deviation 1 / sqrt(inFeatures), which keep the size of what they are applied to, a scale an output feature. */
  linear(name: string, input: string, outputs: readonly string[], residual?: string): void {
    const { columns: inFeatures } = this.#tensor(input);
    const { weightBits } = this.#options;
    const q = 2 ** (weightBits - 1);
    const widths = outputs.map((output) => this.#tensor(output).heads * this.#tensor(output).columns);
    const outFeatures = widths.reduce((sum, width) => sum + width, 0);
    const codes = new Int8Array(outFeatures * inFeatures);
    const [scales, bias] = [new Float32Array(outFeatures), new Int32Array(outFeatures)];
    const [multipliers, shifts] = [new Uint32Array(outFeatures), new Uint8Array(outFeatures)];
    let feature = 0;
    for (const output of outputs) {
      const { heads, columns, codes: outputCodes } = this.#tensor(output);
      for (let head = 0; head < heads; head++) {
        for (let column = 0; column < columns; column++, feature++) {
          const row = Array.from({ length: inFeatures }, () => this.#normal() / Math.sqrt(inFeatures));
          const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          const scale = Math.fround(largest / Math.max(q - 1, 3)); // 2-bit weights saturate
          const code = (value: number) => Math.max(-q, Math.min(Math.round(value / scale), q - 1));
          scales[feature] = scale;
          codes.set(row.map(code), feature * inFeatures);
          const unit = this.scale(input) * scale;
          bias[feature] = Math.round((0.3 * this.#normal()) / unit);
          const rescale = dyadic(unit / this.scale(output, head), outputCodes ? 8 : 'int16');
          multipliers[feature] = rescale.multiplier;
          shifts[feature] = rescale.shift;
        }
      }
    }
    this.linears.set(name, { codes, scales, bias, multipliers, shifts });
    const firsts = widths.map((_, i) => widths.slice(0, i).reduce((sum, width) => sum + width, 0));
    const operation: LinearOperation = {
      kind: 'linear',
      name,
      input,
      inFeatures,
      outFeatures,
      weightBits,
      outputs: outputs.map((tensor, i) => ({ tensor, first: firsts[i] as number })),
      residual: residual === undefined ? null : this.#residual(residual, outputs[0] as string),
    };
    this.operations.push(operation);
  }

  /** From `.q`, `.k` and `.v` to `.merged`. */
  attention(name: string, rows: number, headDim: number): void {
    const { heads, activationBits: bits, shift, softmax: method, embedDim } = this.#options;
    const [q, k, v] = [`${name}.q`, `${name}.k`, `${name}.v`];
    const [scores, probs, merged] = [`${name}.scores`, `${name}.probs`, `${name}.merged`];
    const each = Array.from({ length: heads }, (_, head) => head);
    const scales = each.map((head) => this.scale(q, head) * this.scale(k, head));
    this.tensor(scores, { layout: 'int32', heads, rows, columns: rows, scales });
    this.operations.push({ kind: 'product', name: scores, a: q, b: k, output: scores, bias: null, rescales: null });

    const quantizer = {
      twin: { type: 'twin-softmax', bits, shift, boundary: 'nearest' },
      uniform: uniform(
        bits,
        'head',
        each.map((head) => 1 / (1 + head / 8)),
      ),
      levels: logLevels({ operand: 'softmax', family: 'adaptive-log', bits }, { octaves: 0.6, negatives: 0 }, 1, 16383),
    } as const satisfies Record<string, SoftmaxQuantizer>;
    const after = quantizer[this.#options.after];
    const fine = steps(after);
    this.tensor(probs, { layout: 'left', heads, rows, columns: rows, scales: fine, codes: codesOf(after) });
    const factor = headDim ** -0.5;
    const { logitBits, scale, constants } = softmaxForm(method, 4, rows);
    const rescales = each.map((head) => dyadic((factor * (scales[head] as number)) / scale, 'int16'));
    const codeRescales = probabilityRescales(after, heads);
    const softmax = { name: `${name}.softmax`, input: scores, output: probs, factor, logitBits, rescales };
    this.operations.push({ kind: 'softmax', ...softmax, codeRescales, constants });

    this.codes(merged, 'left', 1, rows, embedDim, [2]);
    const outer = each.map((head) => dyadic((this.scale(probs, head) * this.scale(v, head)) / this.scale(merged), 8));
    const codesUp = (head: number) => Math.round(((5 - 9 * head) * outer[head]!.multiplier) / 2 ** 15); // of either sign
    const bias =
      this.#options.after === 'twin'
        ? null
        : outer.map(({ multiplier, shift }, head) => Math.round((codesUp(head) * 2 ** shift) / multiplier));
    this.operations.push({ kind: 'product', name: merged, a: probs, b: v, output: merged, bias, rescales: outer });
  }

  /** `.fc1` and `.gelu`. */
  gelu(name: string, input: string, rows: number, hiddenDim: number): void {
    const { activationBits: bits, shift, gelu: method } = this.#options;
    const [hidden, output] = [`${name}.fc1`, `${name}.gelu`];
    const levels = { operand: 'gelu', family: 'log2', bits } as const;
    const after = {
      twin: { type: 'twin-gelu', bits, shift, scaleR2: 4 / (2 ** (bits - 1) - 1) },
      uniform: uniform(bits, 'tensor', [4]),
      levels: logLevels(levels, { octaves: 0.3, negatives: 2 ** (bits - 3) }, 4, 2 ** 12),
    } as const satisfies Record<string, GeluQuantizer>;
    const quantizer = after[this.#options.after];
    const form = geluForm(method, 4, quantizer);
    const shape = { heads: 1, rows, columns: hiddenDim };
    const eight: IntegerCodes = { kind: 'uniform', bits: 8, shift: 0 };
    this.tensor(
      hidden,
      form.inputBits === 16
        ? { layout: 'int16', ...shape, scales: [form.scale] }
        : { layout: 'left', ...shape, scales: [form.scale], codes: eight },
    );
    this.linear(hidden, input, [hidden]);
    this.tensor(output, { layout: 'left', ...shape, scales: steps(quantizer), codes: codesOf(quantizer) });
    this.operations.push({ kind: 'gelu', name: output, input: hidden, output, constants: form.constants });
  }

  #residual(tensor: string, output: string) {
    return { tensor, ...dyadic(this.scale(tensor) / this.scale(output), 'term') };
  }

  #tensor(name: string): IntegerTensor {
    const tensor = this.tensors[name];
    if (!tensor) throw new Error(`no tensor ${name}`);
    return tensor;
  }

  /** Roughly normal. */
  #normal(): number {
    return (this.#next() + this.#next() + this.#next() + this.#next() - 2) * Math.sqrt(3);
  }
}
