/**
 * Reads and runs a model file by docs/format.md alone: nothing of `src/` is used, every integer is a BigInt and every division
 * rounds down as the page says. Slow; a check that the page is complete.
 */

type Stored = readonly [
  layout: string,
  heads: number | readonly [windows: number, heads: number],
  ...rest: [rows: number, columns: number, scales: number[], ...codes: unknown[]],
];

/** A tensor of the manifest with its heads as a number. */
type Entry = readonly [
  layout: string,
  heads: number,
  rows: number,
  columns: number,
  scales: number[],
  kind?: string,
  bits?: number,
  shift?: number,
  last?: 'nearest' | 'published' | number[],
];
type Pair = readonly [multiplier: number, shift: number];
type Operation = Record<string, number> & {
  kind: string;
  name: string;
  input: string;
  output: string;
  outputs: [string, number][];
  residual?: [string, number, number];
  a: string;
  b: string;
  bias?: number[];
  rescales?: Pair[];
  codeRescales?: Pair[];
  form: string;
  method: string;
  rescale: Pair;
};

interface Manifest {
  readonly input: string;
  readonly output: string;
  readonly tensors: Record<string, Stored>;
  readonly operations: Operation[];
}

const floorDivide = (a: bigint, b: bigint) => (a % b !== 0n && a < 0n !== b < 0n ? a / b - 1n : a / b);
const cut = (x: bigint, least: bigint, most: bigint) => (x < least ? least : x > most ? most : x);
const clampTo = (bits: number, x: bigint) => cut(x, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n);
const size = (x: bigint) => (x < 0n ? -x : x);
const least = (a: bigint, b: bigint) => (a < b ? a : b);
const CEILING = (1n << 31n) - 1n;
const MASKED = -(1n << 31n);
const NO_ROW = (1n << 32n) - 1n;

function rescale(x: bigint, multiplier: number, shift: number): bigint {
  const quotient = floorDivide(x * BigInt(multiplier) + (1n << BigInt(shift - 1)), 1n << BigInt(shift));
  return clampTo(32, quotient);
}

const add16 = (a: bigint, b: bigint) => clampTo(16, clampTo(31, a) + clampTo(31, b));

/** A result as the level or the uniform code that it takes. */
function coded(value: bigint, pair: Pair, [, , , , , kind, bits, , last]: Entry): bigint {
  const z = rescale(value, ...pair);
  if (kind === 'uniform') return clampTo(bits as number, z);
  const levels = (last as number[]).map(BigInt);
  const above = levels.filter((level, i) => i > 0 && z >= 4n * ((levels[i - 1] as bigint) + level));
  return above.at(-1) ?? (levels[0] as bigint);
}

function shiftexp(x: bigint, unit: bigint, n: bigint): bigint {
  const scaled = x + floorDivide(x, 2n) - floorDivide(x, 16n);
  const s = scaled > -n * unit ? scaled : -n * unit;
  const q = floorDivide(s, -unit);
  const doubled = s + unit * q + 2n * unit; // (r / 2 + I0) 2^(n - q), twice
  return least(floorDivide(n - q >= 0n ? doubled << (n - q) : doubled >> (q - n), 2n), CEILING);
}

function fixedexp(t: bigint, unit: bigint, n: bigint): bigint {
  const q = t / unit;
  return ((2n * unit - (t - q * unit)) << n) >> (q + 1n);
}

function share(e: bigint, sum: bigint): bigint {
  let z = 0n;
  while (sum << z < 1n << 31n) z++;
  const reciprocal = ((1n << 32n) - 1n) / (((sum << z) >> 16n) + 1n);
  return ((e << z) * reciprocal) >> 24n;
}

const sumOf = (values: readonly bigint[]) => values.reduce((sum, value) => sum + value, 0n);

/** Logits of one image, pixels uint8 `[rows][columns][3]`. */
export function interpretModelFile(file: Uint8Array, pixels: Uint8Array): bigint[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + headerLength))) as Record<
    string,
    { data_offsets: [number, number]; dtype: string }
  >;
  const { manifest: text } = header['__metadata__'] as unknown as { manifest: string };
  const { input, output, tensors, operations } = JSON.parse(text) as Manifest;

  const bytesOf = (name: string) => {
    const [begin, end] = (header[name] as { data_offsets: [number, number] }).data_offsets;
    return file.subarray(8 + headerLength + begin, 8 + headerLength + end);
  };
  const next: Record<string, number> = {};
  /** The next `count` elements of a vector that operations share. */
  const take = (name: string, bits: number, signed: boolean, count: number) => {
    const first = next[name] ?? 0;
    const length = Math.ceil((count * bits) / 8);
    next[name] = first + length;
    return stream(bytesOf(name).subarray(first, first + length), bits, signed, count);
  };

  const values = new Map<string, bigint[]>([[input, Array.from(pixels, BigInt)]]);
  const of = (name: string) => values.get(name) as bigint[];
  const entry = (name: string) => {
    const [layout, heads, ...rest] = tensors[name] as Stored;
    return [layout, typeof heads === 'number' ? heads : heads[1], ...rest] as unknown as Entry;
  };
  const windowsOf = (name: string) => {
    const [, heads] = tensors[name] as Stored;
    return typeof heads === 'number' ? 1 : heads[0];
  };
  const finish = (name: string, acc: bigint, pair: Pair | undefined) => {
    const [layout, , , , , , bits] = entry(name);
    if (layout === 'int32' || !pair) return acc;
    return clampTo(bits ?? 16, rescale(acc, ...pair));
  };

  for (const operation of operations) {
    const { kind, name } = operation;
    if (kind === 'patches') {
      const [, , rows, columns] = entry(operation.input);
      const p = operation['patchSize'] as number;
      const codes: bigint[] = [];
      for (let top = 0; top < rows; top += p)
        for (let left = 0; left < columns; left += p)
          for (let channel = 0; channel < 3; channel++)
            for (let y = top; y < top + p; y++)
              for (let x = left; x < left + p; x++)
                codes.push((of(operation.input)[(y * columns + x) * 3 + channel] as bigint) - 128n);
      values.set(operation.output, codes);
    } else if (kind === 'linear') {
      const { inFeatures, outFeatures, weightBits, biasBits } = operation as unknown as Record<string, number> as {
        inFeatures: number;
        outFeatures: number;
        weightBits: number;
        biasBits: number;
      };
      const weight = stream(bytesOf(`${name}.weight`), weightBits, true, outFeatures * inFeatures);
      const bias = biasBits > 0 ? take('linear.bias', biasBits, true, outFeatures) : [];
      const [layout] = entry((operation.outputs[0] as [string, number])[0]);
      const multipliers = layout === 'int32' ? [] : take('linear.multipliers', 16, false, outFeatures);
      const shifts = layout === 'int32' ? [] : take('linear.shifts', 8, false, outFeatures);
      for (const [target, first] of operation.outputs) {
        const [, heads, rows, columns] = entry(target);
        const results: bigint[] = [];
        for (let block = 0; block < windowsOf(target) * heads; block++)
          for (let own = 0; own < rows; own++)
            for (let column = 0; column < columns; column++) {
              const [head, row] = [block % heads, Math.floor(block / heads) * rows + own];
              const o = first + head * columns + column;
              let acc = bias[o] ?? 0n;
              for (let i = 0; i < inFeatures; i++)
                acc += (of(operation.input)[row * inFeatures + i] as bigint) * (weight[o * inFeatures + i] as bigint);
              const pair = layout === 'int32' ? undefined : ([Number(multipliers[o]), Number(shifts[o])] as const);
              if (operation.residual && pair) {
                const [tensor, multiplier, shift] = operation.residual;
                const left = of(tensor)[results.length] as bigint;
                results.push(add16(rescale(acc, ...pair), rescale(left, multiplier, shift)));
              } else results.push(finish(target, acc, pair));
            }
        values.set(target, results);
      }
    } else if (kind === 'product') {
      const [, heads, rows, depth] = entry(operation.a);
      const [layout, , bRows, bColumns] = entry(operation.b);
      const columns = layout === 'right' ? bColumns : bRows;
      const merged = entry(operation.output)[1] === 1;
      const results = new Array<bigint>(windowsOf(operation.a) * heads * rows * columns);
      for (let block = 0; block < windowsOf(operation.a) * heads; block++)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++) {
            const [head, window] = [block % heads, Math.floor(block / heads)];
            let acc = BigInt(operation.bias?.[head] ?? 0);
            for (let d = 0; d < depth; d++) {
              const at = block * bRows * bColumns + (layout === 'right' ? d * bColumns + c : c * bColumns + d);
              acc += (of(operation.a)[(block * rows + r) * depth + d] as bigint) * (of(operation.b)[at] as bigint);
            }
            const inside = merged ? r * heads * columns + head * columns + c : (head * rows + r) * columns + c;
            const to = window * heads * rows * columns + inside;
            results[to] = finish(operation.output, acc, operation.rescales?.[head]);
          }
      values.set(operation.output, results);
    } else if (kind === 'tokens') {
      const [, , rows, columns] = entry(operation.output);
      const tokens = take('tokens.values', 16, true, rows * columns);
      const prefix = (operation['prefixRows'] as number) * columns;
      values.set(
        operation.output,
        tokens.map((token, i) => (i < prefix ? token : add16(of(operation.input)[i - prefix] as bigint, token))),
      );
    } else if (kind === 'layerNorm') {
      const [, , rows, inputColumns] = entry(operation.input);
      const [multipliers, shifts, bias] = [
        take('norm.multipliers', 32, true, inputColumns),
        take('norm.shifts', 8, false, inputColumns),
        take('norm.bias', 32, true, inputColumns),
      ];
      const [, heads, , features, , , bits = 16] = entry(operation.output);
      const chosen = operation['row'] === undefined ? Array.from({ length: rows }, (_, i) => i) : [operation['row']];
      const blocks = Array.from({ length: heads }, (_, head) => chosen.map((row) => [head, row] as const)).flat();
      const results = blocks.flatMap(([head, row]) => {
        const first = (row * heads + head) * features;
        const x = of(operation.input).slice(first, first + features);
        return normalise(x, operation, (z, feature) => {
          const i = head * features + feature;
          const [g, c, beta] = [Number(multipliers[i]), Number(shifts[i]), bias[i] as bigint];
          const signed = (value: bigint) => rescale(BigInt(Math.sign(g)) * value, Math.abs(g), c);
          if (operation.form === 'published') return clampTo(bits, signed(z + beta));
          const limit = 1n << 29n;
          return clampTo(bits, floorDivide(cut(signed(z), -limit, limit) + beta + 2048n, 4096n));
        });
      });
      values.set(operation.output, results);
    } else if (kind === 'softmax') {
      const [, heads, rows, columns] = entry(operation.input);
      const target = entry(operation.output) as Required<Entry>;
      const [, , , , , , bits, shift, boundary] = target;
      const [h, m] = [2 ** -(bits - 1), 2 ** (bits - 1) - 1];
      const middle = (m * h * 2 ** -shift + Math.max(1, 2 ** (bits - 1 - shift)) * h) / 2;
      const threshold = BigInt(2 ** 24 * (boundary === 'published' ? 2 ** -shift : middle));
      const results: bigint[] = [];
      for (let row = 0; row < windowsOf(operation.input) * heads * rows; row++) {
        const head = Math.floor(row / rows) % heads;
        const pair = (operation.rescales as Pair[])[head] as Pair;
        const scores = of(operation.input).slice(row * columns, (row + 1) * columns);
        const seen = scores.filter((acc) => acc !== MASKED);
        const x = seen.map((acc) => clampTo(operation['logitBits'] as number, rescale(acc, ...pair)));
        const top = x.reduce((a, b) => (a > b ? a : b));
        const shares = probabilities(
          x.map((value) => top - value),
          operation,
          tableOf,
        ).values();
        for (const p of scores.map((acc) => (acc === MASKED ? 0n : (shares.next().value as bigint)))) {
          const codePair = operation.codeRescales?.[head];
          if (codePair) {
            results.push(coded(p, codePair, target));
            continue;
          }
          const k = 25n - BigInt(bits) - (p >= threshold ? 0n : BigInt(shift));
          const magnitude = least((p + (1n << (k - 1n))) >> k, BigInt(m));
          results.push(p >= threshold ? magnitude << BigInt(shift) : magnitude);
        }
      }
      values.set(operation.output, results);
    } else if (kind === 'gatherRows') {
      const width = entry(operation.input)[3];
      const rows = tableOf(operation['indices'] as number).flatMap((index) => {
        if (index === NO_ROW) return new Array<bigint>(width).fill(BigInt(operation['fill'] as number));
        return of(operation.input).slice(Number(index) * width, (Number(index) + 1) * width);
      });
      values.set(operation.output, rows);
    } else if (kind === 'attentionBias') {
      const [, heads, tokens] = entry(operation.input);
      const entries = operation['entries'] as number;
      const biases = take('attentionBias.values', 32, true, heads * entries);
      const index = tableOf(operation['index'] as number);
      const regions = operation['regions'] === undefined ? undefined : tableOf(operation['regions']);
      const results = of(operation.input).map((score, at) => {
        const [j, i, block] = [at % tokens, Math.floor(at / tokens) % tokens, Math.floor(at / tokens ** 2)];
        const first = Math.floor(block / heads) * tokens;
        if (score === MASKED || (regions && regions[first + i] !== regions[first + j])) return MASKED;
        const bias = biases[(block % heads) * entries + Number(index[i * tokens + j])] as bigint;
        return cut(score + bias, -CEILING, CEILING);
      });
      values.set(operation.output, results);
    } else if (kind === 'meanRows') {
      const [, , rows, columns] = entry(operation.input);
      const means = Array.from({ length: columns }, (_, column) => {
        let sum = BigInt(operation.bias as unknown as number);
        for (let row = operation['first'] as number; row < rows; row++)
          sum += of(operation.input)[row * columns + column] as bigint;
        return finish(operation.output, sum, operation.rescale);
      });
      values.set(operation.output, means);
    } else {
      const [, , , columns] = entry(operation.input);
      const target = entry(operation.output) as Required<Entry>;
      const [, , , , , codes, bits, shift] = target;
      const x = of(operation.input);
      const most = (1n << BigInt(bits - 1)) - 1n;
      const value = (magnitude: bigint, flag: boolean) => (flag ? magnitude << BigInt(shift) : -magnitude);
      const results = x.map((one, i) => {
        if (operation.method === 'lut-codes') {
          const code = stream(bytesOf(`tables.${operation['table']}`), 8, false, 256)[
            Number(BigInt.asUintN(8, one))
          ] as bigint;
          return value(code & most, code > most);
        }
        const row = x.slice(i - (i % columns), i - (i % columns) + columns);
        const y = gelu(one, row, operation, tableOf);
        const pair = [operation['multiplier'] as number, operation['multiplierShift'] as number] as const;
        if (codes !== 'twin-gelu') return coded(y, pair, target);
        return value(least(rescale(size(y), pair[0], pair[1] + (y > 0n ? shift : 0)), most), y > 0n);
      });
      values.set(operation.output, results);
    }
  }
  return of(output);

  function tableOf(number: number): bigint[] {
    const bytes = bytesOf(`tables.${number}`);
    return stream(bytes, 32, false, bytes.length / 4);
  }
}

function stream(bytes: Uint8Array, bits: number, signed: boolean, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => {
    let value = 0n;
    for (let j = 0; j < bits; j++) {
      const at = i * bits + j;
      if (((bytes[Math.floor(at / 8)] as number) >> (at % 8)) & 1) value |= 1n << BigInt(j);
    }
    return signed ? BigInt.asIntN(bits, value) : value;
  });
}

function normalise(x: readonly bigint[], operation: Operation, code: (z: bigint, feature: number) => bigint): bigint[] {
  const n = BigInt(x.length);
  const sum = sumOf(x);
  if (operation.form === 'published') {
    const mean = floorDivide(2n * sum + n, 2n * n);
    const v = sumOf(x.map((value) => (value - mean) ** 2n));
    let root = 1n << 16n;
    for (let step = 0; step < 10; step++) root = (root + v / root) / 2n;
    return x.map((value, i) => code(floorDivide((value - mean) * (CEILING / root), 2n), i));
  }
  const v = n * sumOf(x.map((value) => value * value)) - sum * sum + BigInt(operation['epsilon'] as number) || 1n;
  const p = Math.floor((60 - v.toString(2).length) / 2);
  let root = 0n;
  for (let bit = 1n << 30n; bit > 0n; bit >>= 1n) if ((root + bit) ** 2n <= v << BigInt(2 * p)) root += bit;
  const reciprocal = least((1n << 60n) / root, CEILING);
  return x.map((value, i) => code(rescale(n * value - sum, Number(reciprocal), 36 - p), i));
}

function probabilities(d: readonly bigint[], operation: Operation, tableOf: (number: number) => bigint[]): bigint[] {
  const constant = (name: string) => BigInt(operation[name] as number);
  switch (operation.method) {
    case 'shift': {
      const parts = d.map((one) => shiftexp(-one, constant('unit'), 15n));
      const factor = CEILING / least(sumOf(parts), CEILING);
      return parts.map((e) => ((e * factor) >> 16n) << 9n);
    }
    case 'shift-fixed': {
      const parts = d.map((one) => fixedexp(one << constant('fraction'), constant('unit'), constant('octaves')));
      return parts.map((e) => share(e, sumOf(parts)));
    }
    case 'poly': {
      const unit = constant('unit');
      const parts = d.map((one) => {
        const t = least(one << constant('fraction'), 30n * unit);
        const q = t / unit;
        const r = q * unit - t;
        const z = r * (r + constant('linear')) + constant('constant');
        const shift = (operation['multiplierShift'] as number) + Number(q);
        return rescale(z > 0n ? z : 0n, operation['multiplier'] as number, shift);
      });
      const factor = (1n << 32n) / sumOf(parts);
      return parts.map((e) => (e * factor) >> 8n);
    }
    default: {
      const table = tableOf(operation['table'] as number);
      const parts = d.map((one) => {
        const t = rescale(one, operation['multiplier'] as number, operation['multiplierShift'] as number);
        return (table[Number(t % 256n)] as bigint) >> (t / 256n);
      });
      return parts.map((e) => share(e, sumOf(parts)));
    }
  }
}

function gelu(x: bigint, row: readonly bigint[], operation: Operation, tableOf: (number: number) => bigint[]): bigint {
  const constant = (name: string) => BigInt(operation[name] as number);
  switch (operation.method) {
    case 'shift': {
      const top = row.reduce((a, b) => (a > b ? a : b));
      const [e, e0] = [shiftexp(x - top, constant('unit'), 23n), shiftexp(-top, constant('unit'), 23n)];
      return x * ((e * (CEILING / least(e + e0, CEILING))) >> 24n);
    }
    case 'shift-fixed': {
      const one = constant('unit') << constant('octaves');
      const e = fixedexp(size(x) << constant('fraction'), constant('unit'), constant('octaves'));
      return x * ((((x < 0n ? e : one) << 15n) + (one + e) / 2n) / (one + e));
    }
    case 'poly': {
      const t = least(size(x) << constant('fraction'), constant('bound'));
      const sign = x < 0n ? -1n : x > 0n ? 1n : 0n;
      const erf = floorDivide(sign * ((t - constant('bound')) ** 2n - constant('constant')), 1n << constant('places'));
      return x * (constant('offset') - erf);
    }
    default: {
      const table = tableOf(operation['table'] as number);
      const step = 1n << constant('places');
      const i = Number(size(x) / step);
      const [from, to] = [table[i] ?? 0n, table[i + 1] ?? 0n];
      const tail = from + floorDivide(2n * (to - from) * (size(x) % step) + step, 2n * step);
      return (x > 0n ? x << 15n : 0n) - tail;
    }
  }
}
