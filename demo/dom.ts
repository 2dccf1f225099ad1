/** Elements of the page. */

/** The element of index.html with this id. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as unknown as T;
}

type Content = Node | string | number | null | undefined;

/** A new element; attributes that are false are left out, content is text wherever it is no node. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number | boolean>> = {},
  ...content: Content[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(
    ...content
      .filter((each) => each !== null && each !== undefined)
      .map((each) => (each instanceof Node ? each : String(each))),
  );
  return made;
}

/** Lets the browser draw and answer before what comes next. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Shows or hides without touching the rest. */
export function show(target: HTMLElement, visible: boolean): void {
  target.hidden = !visible;
}

/** Rows of a description list: a term and what it is. */
export function terms(rows: readonly (readonly [term: string, value: string, more?: string])[]): HTMLElement[] {
  return rows.map(([term, value, more]) => {
    const details = more === undefined ? [] : [element('small', {}, more)];
    return element('div', {}, element('dt', {}, term), element('dd', {}, value, ...details));
  });
}
