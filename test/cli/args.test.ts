import { expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/args.ts';
import { UsageError } from '../../src/cli/errors.ts';
import { choice, integer, integers, onOff, optionalPath, requiredPath } from '../../src/cli/flags.ts';
import { nearest } from '../../src/cli/nearest.ts';

const flags = {
  images: requiredPath('<dir>', 'images'),
  recipe: optionalPath('<dir>', 'recipe'),
  'weight-bits': integer('bits', 8, 2, 8),
  seed: integer('seed', 0, 0, 2 ** 32 - 1),
  preset: choice('preset', 'default', ['default', 'paper', 'base']),
  force: onOff('force'),
};
const parse = (...args: string[]) => parseArguments(args, flags, ['<model>']);

test('every flag has its value or its default', () => {
  expect(parse('m', '--images', 'i').values).toEqual({
    images: 'i',
    recipe: undefined,
    'weight-bits': 8,
    seed: 0,
    preset: 'default',
    force: false,
  });
  const parsed = parse('--images=i', '--weight-bits', '4', '--force', 'm', '--preset', 'paper', '--seed=4294967295');
  expect(parsed.values).toMatchObject({
    images: 'i',
    'weight-bits': 4,
    force: true,
    preset: 'paper',
    seed: 4294967295,
  });
  expect(parsed.positionals).toEqual(['m']);
  expect([...parsed.given].sort()).toEqual(['force', 'images', 'preset', 'seed', 'weight-bits']);
});

test('a value that begins with a dash follows an equals sign', () => {
  expect(parse('m', '--images=--odd', '--recipe=-').values).toMatchObject({ images: '--odd', recipe: '-' });
});

test('words after -- are no flags', () => {
  expect(parse('--images', 'i', '--', '--odd-name').positionals).toEqual(['--odd-name']);
});

test('the last word may be one or more', () => {
  const several = (...args: string[]) => parseArguments(args, {}, ['<model>', '<image...>']).positionals;
  expect(several('m', 'a', 'b', 'c')).toEqual(['m', 'a', 'b', 'c']);
  expect(() => several('m')).toThrow('<image...> is missing');
  expect(() => several('m', 'a', '', 'b')).toThrow('<image...> must not be empty');
});

test('numbers in a list keep their order', () => {
  const batch = (...args: string[]) =>
    parseArguments(args, { batch: integers('sizes', [1, 8], 1, 64) }, []).values.batch;
  expect(batch()).toEqual([1, 8]);
  expect(batch('--batch', '32,1,64')).toEqual([32, 1, 64]);
});

test('help is found whatever else is wrong', () => {
  expect(parse('--help').help).toBe(true);
  expect(parse('m', '-h').help).toBe(true);
  expect(parse('m', '--images', 'i').help).toBe(false);
});

test.each([
  [['m', '--images', 'i', '--wieght-bits', '4'], 'unknown flag --wieght-bits; did you mean --weight-bits?'],
  [['m', '--images', 'i', '--img', 'x'], 'unknown flag --img'],
  [['m', '--images', 'i', '--zebra'], 'unknown flag --zebra'],
  [['m', '--images', 'i', '-f'], 'unknown flag -f'],
  [['m', '--images', 'i', '--constructor', '1'], 'unknown flag --constructor'],
  [['m', '--images', 'i', '--weight-bits', '9'], '--weight-bits must be an integer in 2..8, got "9"'],
  [['m', '--images', 'i', '--weight-bits', '1'], '--weight-bits must be an integer in 2..8, got "1"'],
  [['m', '--images', 'i', '--weight-bits', '4.5'], '--weight-bits must be an integer in 2..8, got "4.5"'],
  [['m', '--images', 'i', '--weight-bits', '4 '], '--weight-bits must be an integer in 2..8, got "4 "'],
  [['m', '--images', 'i', '--weight-bits='], '--weight-bits must be an integer in 2..8, got ""'],
  [['m', '--images', 'i', '--seed', '-1'], '--seed must be an integer in 0..4294967295, got "-1"'],
  [['m', '--images', 'i', '--seed', '1e3'], '--seed must be an integer in 0..4294967295, got "1e3"'],
  [['m', '--images', 'i', '--preset', 'papr'], 'must be one of default, paper, base, got "papr"; did you mean paper?'],
  [['m', '--images', '--force'], '--images needs a value: --images <dir>'],
  [['m', '--images'], '--images needs a value: --images <dir>'],
  [['m', '--images='], '--images must not be empty'],
  [['m', '--images', 'i', '--force=yes'], '--force takes no value, got "yes"'],
  [['m', '--images', 'i', '--images', 'j'], '--images is given twice'],
  [['m'], '--images <dir> is missing'],
  [['--images', 'i'], '<model> is missing'],
  [['m', 'n', '--images', 'i'], 'unexpected argument "n"'],
  [['', '--images', 'i'], '<model> must not be empty'],
])('%j is refused: %s', (args, message) => {
  expect(() => parse(...args)).toThrow(UsageError);
  expect(() => parse(...args)).toThrow(message);
});

test('the nearest word is one that may have been meant, or none', () => {
  const words = ['quantize', 'evaluate', 'inspect', 'doctor'];
  expect(nearest('quantise', words)).toBe('quantize');
  expect(nearest('eval', words)).toBe('evaluate');
  expect(nearest('docter', words)).toBe('doctor');
  expect(nearest('train', words)).toBeUndefined();
});
