import { createHash } from 'node:crypto';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { recipeView } from '../../src/report/data.ts';
import { escapeHtml, jsonForHtml, reportHtml } from '../../src/report/html.ts';
import { readRun } from '../../src/report/readRun.ts';
import { reportRecipe, runDocument } from '../support/reportCase.ts';

const LABEL = `</title><script>alert('x')</script>&"\u2028`;
const SCRIPT = `const s = '</script><!-- <script>'; document.title = s;`;
const run = readRun(JSON.stringify(runDocument()), 'run.json');
const data = { kind: 'report', recipe: recipeView(reportRecipe(), LABEL, run), evaluation: null } as const;

test('what is given stands in the file as text alone, and is the same when read', async () => {
  const html = await reportHtml(data, SCRIPT);
  expect(html.match(/<script\b/gi)).toHaveLength(3); // data, script, and the one in its text, which ends nothing
  expect(html.match(/<\/script/gi)).toHaveLength(2);
  expect(html.match(/<\/title/gi)).toHaveLength(1);
  expect(html).not.toContain('<img');
  expect(html).not.toContain('<!--');
  expect(html).not.toMatch(/(src|href)="(?!data:)/);
  const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? '';
  expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(data)));
  expect(json).not.toMatch(/[<>&\u2028]/);
});

test('the policy lets its own script run and nothing else', async () => {
  const html = await reportHtml(data, SCRIPT);
  const code = /<script type="module">(.*?)<\/script>/s.exec(html)?.[1] ?? '';
  const hash = createHash('sha256').update(code).digest('base64');
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? '';
  expect(policy).toContain(`default-src &#39;none&#39;`);
  expect(policy).toContain(`script-src &#39;sha256-${hash}&#39;;`);
  expect(policy).not.toContain('connect-src');
  const page = { title: '' };
  runInNewContext(code, { document: page });
  expect(page.title, 'escaped, the script does what it did').toBe('</script><!-- <script>');
});

test('escapes', () => {
  expect(escapeHtml(`<a href="x" title='y'>&`)).toBe('&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;');
  expect(jsonForHtml({ '<': '\u2029&' })).toBe('{"\\u003c":"\\u2029\\u0026"}');
});
