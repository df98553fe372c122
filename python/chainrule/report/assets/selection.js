/** Which number is chosen: one at a time, with a way back. Knows nothing of the page. */

/**
 * @param {(name: string) => boolean} exists whether a name may be chosen
 */
export function createSelection(exists) {
  const listeners = new Set();
  const past = [];
  let current = null;

  function tell() {
    for (const listener of listeners) listener(current);
  }

  return {
    get current() {
      return current;
    },
    get canGoBack() {
      return past.length > 0;
    },
    choose(name) {
      if (!exists(name)) return false;
      if (name !== current) {
        if (current !== null) past.push(current);
        current = name;
        tell();
      }
      return true;
    },
    back() {
      if (past.length === 0) return;
      current = past.pop();
      tell();
    },
    clear() {
      past.length = 0;
      current = null;
      tell();
    },
    /** Call `listener(name or null)` at every change. */
    listen(listener) {
      listeners.add(listener);
    },
  };
}
