import type { IntegerRecipe, NonlinearMethod } from '../calibrate/recipe.ts';
import { ExportError } from './errors.ts';

/** `auto`: for every layer by itself the method that the recipe found to have the least error. */
export type NonlinearOption = NonlinearMethod | 'auto';

export interface NonlinearChoice {
  readonly softmax?: NonlinearOption;
  readonly gelu?: NonlinearOption;
  readonly layerNorm?: NonlinearOption;
}

/** The method of the operation `name`. */
export function methodOf(
  { nonlinear }: IntegerRecipe,
  kind: keyof NonlinearChoice,
  name: string,
  choice: NonlinearChoice,
): NonlinearMethod {
  const option = choice[kind] ?? 'auto';
  if (option !== 'auto') return option;
  const found = nonlinear.find((entry) => entry.kind === kind && entry.name === name);
  if (!found) throw new ExportError(`the recipe has no measured ${kind} ${name}; quantize this model again`);
  return found.method;
}
