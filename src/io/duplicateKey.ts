/**
 * The first key that an object in `json` holds twice, or undefined. `JSON.parse` keeps the last of two equal keys in
 * silence, so a file could show one tensor to one reader and another to the next.
 *
 * `json` must be text that `JSON.parse` has accepted.
 */
export function findDuplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = []; // a set of keys per open object, undefined per open array
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const start = i;
      i = closingQuote(json, start);
      const keys = open.at(-1);
      if (keys === undefined || !isFollowedByColon(json, i + 1)) continue;
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

function closingQuote(json: string, start: number): number {
  let end = start;
  for (;;) {
    end = json.indexOf('"', end + 1);
    let backslashes = 0;
    while (json[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function isFollowedByColon(json: string, start: number): boolean {
  let i = start;
  while (json[i] === ' ' || json[i] === '\n' || json[i] === '\r' || json[i] === '\t') i++;
  return json[i] === ':';
}
