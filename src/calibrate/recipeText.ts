import type { Recipe } from './recipe.ts';

/** The text of a `recipe.json`: a member, an image, a layer, a range and a nonlinear operation a line. Equal recipes give equal bytes. */
export function recipeText(recipe: Recipe): string {
  const { ranges, nonlinear } = recipe.integer;
  const integer = block('{}', 2, [
    `"ranges": ${block('{}', 4, members(ranges))}`,
    `"nonlinear": ${lines(nonlinear, 4)}`,
  ]);
  const document = Object.entries(recipe).map(([key, value]: [string, unknown]) => {
    if (key === 'integer') return `"integer": ${integer}`;
    return `${JSON.stringify(key)}: ${Array.isArray(value) ? lines(value, 2) : JSON.stringify(value)}`;
  });
  return `${block('{}', 0, document)}\n`;
}

function members(value: object): string[] {
  return Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${JSON.stringify(member)}`);
}

function lines(items: readonly unknown[], indent: number): string {
  return block(
    '[]',
    indent,
    items.map((item) => JSON.stringify(item)),
  );
}

/** Items a line between brackets; the closing one stands `indent` spaces in. */
function block([open, close]: string, indent: number, items: readonly string[]): string {
  const margin = ' '.repeat(indent);
  return items.length === 0
    ? `${open}${close}`
    : `${open}\n${items.map((item) => `${margin}  ${item}`).join(',\n')}\n${margin}${close}`;
}
