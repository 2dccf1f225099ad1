import type { Recipe } from './recipe.ts';

/** The text of a `recipe.json`: a member a line, an image and a layer a line. Equal recipes give equal bytes. */
export function recipeText(recipe: Recipe): string {
  const members = Object.entries(recipe).map(([key, value]: [string, unknown]) => {
    const text = Array.isArray(value)
      ? `[\n${value.map((item) => `    ${JSON.stringify(item)}`).join(',\n')}\n  ]`
      : JSON.stringify(value);
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${members.join(',\n')}\n}\n`;
}
