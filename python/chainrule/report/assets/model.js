/** The numbers of the page as data: which there are, their values, and what each is made of. */

/**
 * Read the model from the page.
 * @param {Document} page
 * @returns {{n: number[], items: Map<string, {kind: string, value: number, uses: string[]}>}}
 */
export function readModel(page) {
  const data = JSON.parse(page.getElementById("model").textContent);
  return { n: data.n, items: new Map(Object.entries(data.items)) };
}

/** The names of all numbers that a number is made of, directly. */
export function usesOf(model, name) {
  return new Set(model.items.get(name)?.uses ?? []);
}
