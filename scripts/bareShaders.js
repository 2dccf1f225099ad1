/** Two of the first, or two of the second, are one token or other tokens when the space between them goes. */
const JOINED = [/[\w.]{2}/, /[-+*/%&|^<>=!]{2}/];
const NAME = /(?<![\w.])[A-Za-z_]\w*|(?<=\.)[A-Za-z_]\w*/g;
/** Names of values, functions and types; of parameters and fields. */
const DECLARED = /\b(?:let|const|var(?:<[^>]*>)?|fn|struct)\s+(\w+)|\b([A-Za-z_]\w*)\s*:/g;
/** Names that WGSL or a pipeline gives a meaning to, besides the entry points. */
const GIVEN = /\boverride\s+(\w+)|\benable\s+(\w+)|@(\w+)|@builtin\((\w+)|\b(?:var|ptr)<([^>]*)|\b(default)\b/g;
const SWIZZLE = /^[xyzw]+$|^[rgba]+$/;

/**
 * WGSL texts by their entry points, or any name for those without one, in the form in which they are delivered: bare, and with
 * names of two characters. A name is replaced by the same one in all of them, so that they can still be joined; no two names
 * become one, so that a text means what it did or, where a name of WGSL itself was taken, does not compile.
 *
 * @param {Readonly<Record<string, string>>} texts without block comments
 * @returns {Record<string, string>}
 */
export function bareShaders(texts) {
  const bare = Object.entries(texts).map(([stem, text]) => /** @type {const} */ ([stem, bareShader(text)]));
  const all = bare.map(([, text]) => text).join('\n');
  const kept = new Set([...Object.keys(texts), ...matches(all, GIVEN).flatMap((names) => names.split(','))]);
  const functions = new Set(matches(all, /\b(?:fn|struct)\s+(\w+)/g));
  for (const called of matches(all, /\b(\w+)\(/g)) if (!functions.has(called)) kept.add(called);
  const declared = new Set(matches(all, DECLARED).filter((name) => !kept.has(name) && !SWIZZLE.test(name)));
  const free = shortNames(new Set(all.match(NAME)));
  const short = new Map([...declared].filter((name) => name.length > 2).map((name) => [name, free()]));
  return Object.fromEntries(bare.map(([stem, text]) => [stem, text.replace(NAME, (name) => short.get(name) ?? name)]));
}

/**
 * A WGSL text without comments and the spaces and line breaks that separate no tokens.
 *
 * @param {string} wgsl without block comments
 */
export function bareShader(wgsl) {
  return wgsl
    .replace(/\/\/.*$/gm, '')
    .trim()
    .replace(/(?<=(\S))\s+(?=(\S))/g, (_space, before, after) =>
      JOINED.some((joined) => joined.test(`${before}${after}`)) ? ' ' : '',
    );
}

/**
 * What the groups of a pattern match.
 *
 * @param {string} text
 * @param {RegExp} pattern
 */
function matches(text, pattern) {
  return [...text.matchAll(pattern)].flatMap(([, ...groups]) => groups.filter((group) => group !== undefined));
}

/**
 * Gives one name after another of a letter and a digit or capital, the form of no word of WGSL, none of them `taken`.
 *
 * @param {ReadonlySet<string>} taken
 */
function shortNames(taken) {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const names = [...`0123456789${letters.toUpperCase()}`]
    .flatMap((last) => [...letters, ...letters.toUpperCase()].map((first) => first + last))
    .filter((name) => !taken.has(name))
    .values();
  return () => {
    const { value } = names.next();
    if (value === undefined) throw new RangeError('the shaders have more names than there are short ones');
    return value;
  };
}
