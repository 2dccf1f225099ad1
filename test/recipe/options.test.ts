import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { OPTION_FIELDS, PRESET_NAMES } from '../../src/calibrate/options.ts';

const text = readFileSync(path.join(import.meta.dirname, '../../docs/options.md'), 'utf8');

test('docs/options.md has every option with all of its words, and every preset', () => {
  for (const [name, field] of Object.entries(OPTION_FIELDS)) {
    const row = text.split('\n').find((line) => line.startsWith('|') && line.split('|')[1]?.includes(`\`${name}\``));
    expect(row, name).toBeDefined();
    if (field.kind === 'word') for (const word of field.words) expect(row, name).toContain(`\`${word}\``);
    expect(row?.includes(`\`${name}\`\\*`), `${name} can differ from layer to layer`).toBe(field.perLayer);
  }
  for (const preset of PRESET_NAMES) expect(text).toContain(`| \`${preset}\``);
});
