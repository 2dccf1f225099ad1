import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { OPTION_FIELDS, type LayerOptions } from '../../src/calibrate/options.ts';
import { COMMANDS } from '../../src/cli/main.ts';
import { flagName } from '../../src/cli/optionFlags.ts';

/** The page of the commands is held to the commands themselves, whose help is made of the same records. */

const page = readFileSync(path.join(import.meta.dirname, '../../docs/cli.md'), 'utf8');
const OPTIONS = new Set((Object.keys(OPTION_FIELDS) as (keyof LayerOptions)[]).map(flagName));

/** What stands under `## name`. */
function sectionOf(name: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(`${name}\n`)) ?? '';
}

/** Rows of a section's table of flags: the name of the flag and its default. */
function rowsOf(section: string): Map<string, string> {
  const rows = section.matchAll(/^\| `--([a-z-]+)[^`]*` *\| *(.*?) *\|/gm);
  return new Map([...rows].map(([, flag, absent]) => [flag as string, (absent as string).replaceAll('`', '')]));
}

test('the page begins with a line for every command', () => {
  const usage = page.slice(0, page.indexOf('## What goes where'));
  const shown = [...usage.matchAll(/^twinshift ([a-z]+) /gm)].map(([, name]) => name);
  expect(shown.sort()).toEqual(COMMANDS.map(({ name }) => name).sort());
});

describe.each(COMMANDS.map(({ name, flags, positionals }) => ({ name, flags, positionals })))(
  '$name',
  ({ name, flags, positionals }) => {
    const section = sectionOf(name);
    const rows = rowsOf(section);
    const own = Object.entries(flags).filter(([flag]) => !OPTIONS.has(flag) || rows.has(flag));

    test('has a row for every flag, and none that it does not take', () => {
      const inText = new Set([...section.matchAll(/`--([a-z-]+)`/g)].map(([, flag]) => flag));
      for (const [flag] of own) expect(rows.has(flag) || inText.has(flag), `--${flag}`).toBe(true);
      for (const flag of rows.keys()) expect(Object.keys(flags), `--${flag}`).toContain(flag);
    });

    test('states the defaults of the help', () => {
      for (const [flag, { required, absent, shown }] of own) {
        const stated = rows.get(flag);
        if (stated === undefined) continue;
        if (required) expect(stated, `--${flag}`).toBe('required');
        else if (absent === false) expect(stated, `--${flag}`).toBe('off');
        else if (typeof absent === 'number' || typeof absent === 'string')
          expect(stated, `--${flag}`).toBe(`${absent}`);
        else if (shown !== undefined) expect(stated, `--${flag}`).toBe(shown);
      }
    });

    test('begins as its help does', () => {
      const line = page.split('\n').find((text) => text.startsWith(`twinshift ${name} `)) ?? '';
      const required = Object.entries(flags).filter(([, flag]) => flag.required);
      for (const [flag, { placeholder }] of required) expect(line).toContain(`--${flag} ${placeholder ?? ''}`);
      expect((line.match(/</g) ?? []).length).toBe(positionals.length + required.length);
    });
  },
);

test('every option of a calibration is a flag of quantize on the page, and what ablate leaves out is named', () => {
  for (const flag of OPTIONS) expect(sectionOf('quantize'), flag).toContain(`\`--${flag}\``);
  const taken = COMMANDS.find(({ name }) => name === 'ablate')?.flags ?? {};
  for (const flag of OPTIONS) if (!(flag in taken)) expect(sectionOf('ablate'), flag).toContain(`\`--${flag}\``);
});
