/** One figure of a table of claims: what was measured, what it must reach, whether it does. */
export interface Claim {
  readonly what: string;
  readonly measured: string;
  readonly wanted: string;
  readonly holds: boolean;
}

export function atMost(what: string, value: number, limit: number, digits = 2): Claim {
  return { what, measured: format(value, digits), wanted: `<= ${limit}`, holds: value <= limit };
}

export function atLeast(what: string, value: number, limit: number, digits = 2): Claim {
  return { what, measured: format(value, digits), wanted: `>= ${limit}`, holds: value >= limit };
}

export function yes(what: string, holds: boolean, measured = holds ? 'yes' : 'no'): Claim {
  return { what, measured, wanted: 'yes', holds };
}

/** Prints a Markdown table and returns how many claims do not hold. */
export function printClaims(title: string, claims: readonly Claim[]): number {
  console.log(`\n## ${title}\n`);
  console.log('| what | measured | wanted | |');
  console.log('|---|---|---|---|');
  for (const { what, measured, wanted, holds } of claims) {
    console.log(`| ${what} | ${measured} | ${wanted} | ${holds ? 'holds' : 'FAILS'} |`);
  }
  return claims.filter(({ holds }) => !holds).length;
}

/** Prints a Markdown table of plain rows. */
export function printTable(title: string, header: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`\n## ${title}\n`);
  console.log(`| ${header.join(' | ')} |`);
  console.log(`|${header.map(() => '---').join('|')}|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}

function format(value: number, digits: number): string {
  return Math.abs(value) < 0.001 && value !== 0 ? value.toExponential(2) : value.toFixed(digits);
}
