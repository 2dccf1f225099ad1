import type { DiffData } from './compareRecipes.ts';
import type { ReportData } from './reportPage.ts';
import { REPORT_STYLE } from './style.ts';

/**
 * One HTML file that needs nothing else: the data as JSON, the script that draws it, and a policy that lets no other script run and
 * nothing be requested.
 *
 * @param script of `reportScript.ts` as it was built
 */
export async function reportHtml(data: ReportData | DiffData, script: string): Promise<string> {
  const title =
    data.kind === 'report'
      ? `Twinshift: ${data.recipe.label}`
      : `Twinshift: ${data.first.label} and ${data.second.label}`;
  const code = script.replaceAll('</script', '<\\/script').replaceAll('<!--', '\\x3C!--');
  const policy = `default-src 'none'; script-src '${await sourceHash(code)}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<noscript><main>This report draws itself by a script; allow scripts to see it.</main></noscript>
<script type="application/json" id="data">${jsonForHtml(data)}</script>
<script type="module">${code}</script>
</body>
</html>
`;
}

/** Text in markup and in attributes. */
export function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => names[character] as string);
}

/** JSON that cannot end the element that it stands in. */
export function jsonForHtml(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** As a Content-Security-Policy names an inline script. */
async function sourceHash(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return `sha256-${btoa(String.fromCharCode(...digest))}`;
}
