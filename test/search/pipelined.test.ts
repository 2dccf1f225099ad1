import { expect, test } from 'vitest';
import { pipelined } from '../../src/calibrate/pipelined.ts';

/** Works whose steps take a few turns of the event loop each and write down when they begin and end. */
function works(count: number, turns: { readonly first: number; readonly second: number }, failing = '') {
  const log: string[] = [];
  const step = async (name: string, of: number) => {
    log.push(`${name} begins`);
    for (let i = 0; i < of; i++) await new Promise(setImmediate);
    log.push(`${name} ends`);
    if (name === failing) throw new Error(`${name} fails`);
  };
  const all = Array.from({ length: count }, (_, i) => async () => {
    await step(`first ${i}`, turns.first);
    return async () => {
      await step(`second ${i}`, turns.second);
      return i;
    };
  });
  return { all, log };
}

test.each([
  { first: 5, second: 2 },
  { first: 2, second: 5 },
])('the second step runs beside the next first one only: $first and $second turns', async (turns) => {
  const { all, log } = works(3, turns);
  expect(await pipelined(all)).toEqual([0, 1, 2]);
  const at = (what: string) => log.indexOf(what);
  for (const i of [0, 1]) {
    expect(at(`second ${i} begins`)).toBeLessThan(at(`first ${i + 1} ends`));
    expect(at(`first ${i + 1} begins`)).toBeLessThan(at(`second ${i} ends`));
    expect(at(`second ${i} ends`)).toBeLessThan(at(`second ${i + 1} begins`));
    expect(at(`first ${i} ends`)).toBeLessThan(at(`first ${i + 1} begins`));
  }
  expect(at('second 0 ends')).toBeLessThan(at('first 2 begins'));
});

test.each([
  { failing: 'first 1', beside: 'second 0' },
  { failing: 'second 0', beside: 'first 1' },
])('$failing that fails ends it, and $beside is waited for', async ({ failing, beside }) => {
  for (const turns of [
    { first: 5, second: 2 },
    { first: 2, second: 5 },
  ]) {
    const { all, log } = works(3, turns, failing);
    await expect(pipelined(all)).rejects.toThrow(`${failing} fails`);
    expect(log).toContain(`${beside} ends`);
    expect(log).not.toContain('first 2 begins');
    expect(log).not.toContain('second 1 begins');
  }
});

test('no work gives no results', async () => {
  expect(await pipelined([])).toEqual([]);
});
