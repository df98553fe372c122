/** Marks the chosen number wherever it stands, and the numbers it is made of. */

import { usesOf } from "./model.js";

export function mountHighlight(root, model, selection) {
  function mark(name, kind) {
    for (const link of root.querySelectorAll(`[data-item="${CSS.escape(name)}"]`)) {
      link.classList.add(kind);
      if (kind === "chosen") link.setAttribute("aria-current", "true");
    }
  }

  selection.listen((name) => {
    for (const link of root.querySelectorAll(".chosen, .used")) {
      link.classList.remove("chosen", "used");
      link.removeAttribute("aria-current");
    }
    if (name === null) return;
    for (const used of usesOf(model, name)) mark(used, "used");
    mark(name, "chosen");
  });
}
