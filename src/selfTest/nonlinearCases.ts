import { dyadic, packDyadics } from '../kernels/dyadic.ts';
import { geluConstants } from '../kernels/geluConstants.ts';
import { intGelu, intGeluKernel } from '../kernels/intGelu.ts';
import { intSoftmax, intSoftmaxKernel } from '../kernels/intSoftmax.ts';
import { withLevels } from '../kernels/levels.ts';
import { shiftGelu, shiftGeluKernel } from '../kernels/shiftGelu.ts';
import { softmaxConstants, twinThreshold, type IntSoftmaxMethod } from '../kernels/softmaxConstants.ts';
import { packRowMajor } from '../reference/codes.ts';
import { packInt16 } from '../reference/fixedPoint.ts';
import { intGeluReference } from '../reference/intGelu.ts';
import { intSoftmaxReference } from '../reference/intSoftmax.ts';
import { shiftGeluReference } from '../reference/shiftGelu.ts';
import { exactCase, integers, type SelfTestCase } from './case.ts';

const ROWS = 37;
const COLUMNS = 67;
const TWIN = { bits: 8, shift: 4 };
const NO_TABLE = new Uint32Array(1);

/** The integer softmax and GELU, every method. */
export function nonlinearCases(): SelfTestCase[] {
  return [
    ...(['shift', 'shift-fixed', 'poly', 'lut'] as const).flatMap((method) => [
      softmaxCase(method, 1),
      softmaxCase(method, 8),
    ]),
    ...([8, 16] as const).flatMap((inputBits) => [
      shiftGeluCase(inputBits),
      ...(['shift-fixed', 'poly', 'lut'] as const).map((method) => geluCase(method, inputBits)),
    ]),
    geluCase('lut-codes', 8),
    softmaxLevelsCase(),
    geluLevelsCase(),
  ];
}

/** Logits of 12 bits and a step of 1/200 from accumulators of three heads, one of which saturates. */
function softmaxCase(method: IntSoftmaxMethod, lanes: number): SelfTestCase {
  const constants = softmaxConstants(method, 1 / 200, COLUMNS);
  const accumulators = Int32Array.from(integers(ROWS * COLUMNS, 1, -30_000, 30_000));
  const rescales = packDyadics([0.031, 0.0079, 3].map((ratio) => dyadic(ratio, 'int16')));
  const table = constants.method === 'lut' ? constants.table : NO_TABLE;
  const shape = { rows: ROWS, columns: COLUMNS, rowsPerHead: 5, heads: 3, logitBits: 12, ...TWIN, constants };
  const threshold = twinThreshold(TWIN.shift, TWIN.bits, 'nearest');
  return exactCase(
    intSoftmaxKernel.name,
    { accumulators, rescales, table },
    intSoftmaxReference(accumulators, rescales, { ...shape, threshold }),
    (device, buffers, codes) => intSoftmax(device, { ...buffers, codes }, { ...shape, boundary: 'nearest', lanes }),
    `${method}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`,
  );
}

/** Codes of a range of 9, the ends among them, as the kernels read them. */
function geluInput(inputBits: 8 | 16) {
  const q = 2 ** (inputBits - 1);
  const values = [-q, q - 1, 0, ...integers(ROWS * COLUMNS - 3, 2, -q, q - 1)];
  const source = inputBits === 8 ? packRowMajor(values, ROWS, COLUMNS) : packInt16(values, COLUMNS);
  const scales = { scale: 9 / q, inputBits, ...TWIN, scaleR1: 0.17 / 127 };
  return { values, source, scales, shape: { rows: ROWS, columns: COLUMNS, inputBits, ...TWIN } };
}

function geluCase(method: 'shift-fixed' | 'poly' | 'lut' | 'lut-codes', inputBits: 8 | 16): SelfTestCase {
  const { values, source, scales, shape } = geluInput(inputBits);
  const { constants } = geluConstants(method, scales);
  if (constants.method === 'shift') throw new TypeError('ShiftGELU has its own kernel');
  const params = { ...shape, constants };
  return exactCase(
    intGeluKernel.name,
    { source, table: 'table' in constants ? constants.table : NO_TABLE },
    intGeluReference(values, params),
    (device, buffers, codes) => intGelu(device, { ...buffers, codes }, params),
    `${method}, ${inputBits} bits`,
  );
}

const LEVELS = [0, 1, 2, 3, 5, 11, 30, 127, 128, 129, 700, 4095, 4096, 9001, 16256];

/** Probabilities as levels, in two planes. */
function softmaxLevelsCase(): SelfTestCase {
  const constants = softmaxConstants('shift-fixed', 1 / 200, COLUMNS);
  const accumulators = Int32Array.from(integers(ROWS * COLUMNS, 1, -30_000, 30_000));
  const ratios = [0.031, 0.0079, 3, 2 ** -7, 2 ** -8, 2 ** -9];
  const rescales = packDyadics(ratios.map((ratio) => dyadic(ratio, 'int16')));
  const codes = { kind: 'levels', levels: LEVELS } as const;
  const shape = { rows: ROWS, columns: COLUMNS, rowsPerHead: 5, heads: 3, logitBits: 12, ...TWIN, constants, codes };
  return exactCase(
    intSoftmaxKernel.name,
    { accumulators, rescales, table: withLevels(undefined, LEVELS) },
    intSoftmaxReference(accumulators, rescales, { ...shape, threshold: 0 }),
    (device, buffers, y) => intSoftmax(device, { ...buffers, codes: y }, { ...shape, boundary: 'nearest' }),
    'levels',
  );
}

/** GELU as levels, in two planes. */
function geluLevelsCase(): SelfTestCase {
  const { values, source, scales, shape } = geluInput(16);
  const { constants } = geluConstants('lut', { ...scales, shift: 0, scaleR1: 9 / 16256 / 8 });
  if (constants.method !== 'lut') throw new TypeError('not the table');
  const levels = [-127, -40, -1, ...LEVELS];
  const params = { ...shape, shift: 0, constants, codes: { kind: 'levels', levels } } as const;
  return exactCase(
    intGeluKernel.name,
    { source, table: withLevels(constants.table, levels) },
    intGeluReference(values, params),
    (device, buffers, codes) => intGelu(device, { ...buffers, codes }, params),
    'levels',
  );
}

/** A step that ShiftGELU takes: its unit is at most 255. */
function shiftGeluCase(inputBits: 8 | 16): SelfTestCase {
  const { values, source, scales, shape } = geluInput(inputBits);
  const { constants } = geluConstants('shift', { ...scales, scale: 0.02 });
  if (constants.method !== 'shift') throw new TypeError('not ShiftGELU');
  return exactCase(
    shiftGeluKernel.name,
    { source, table: NO_TABLE },
    shiftGeluReference(values, { columns: COLUMNS, ...TWIN, ...constants }),
    (device, buffers, codes) => shiftGelu(device, { ...buffers, codes }, { ...shape, constants }),
    `${inputBits} bits`,
  );
}
