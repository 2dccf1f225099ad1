type Content = Node | string | null;

/** An element of `document` with text and elements in it; text is never read as markup. */
export type MakeElement = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes?: Readonly<Record<string, string>>,
  ...content: readonly Content[]
) => HTMLElementTagNameMap[K];

export function elementsOf(document: Document): MakeElement {
  return (tag, attributes = {}, ...content) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...content.filter((part) => part !== null));
    return element;
  };
}
