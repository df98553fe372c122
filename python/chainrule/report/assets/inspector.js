/** The panel that shows the explanation of the chosen number: a copy of what the page holds. */

/**
 * @param {HTMLElement} panel
 * @param {ReturnType<import("./selection.js").createSelection>} selection
 * @param {(name: string) => HTMLDetailsElement | null} source finds the explanation of a number
 */
export function mountInspector(panel, selection, source) {
  const page = panel.ownerDocument;
  let origin = null;

  const bar = page.createElement("div");
  bar.className = "bar-of-panel";
  const heading = page.createElement("h2");
  heading.tabIndex = -1;
  const back = button("Back", "\u2190 Back", () => move(() => selection.back()));
  const close = button("Close the explanation", "Close", () => {
    selection.clear();
  });
  bar.append(heading, back, close);
  const content = page.createElement("div");
  content.className = "content";
  const live = page.createElement("p");
  live.className = "spoken";
  live.setAttribute("role", "status");
  panel.replaceChildren(bar, content);
  page.body.append(live);

  function button(label, text, act) {
    const made = page.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.addEventListener("click", act);
    return made;
  }

  /** Change the content from within the panel: what had the focus goes, so the heading takes it. */
  function move(change) {
    change();
    if (!panel.hidden) heading.focus();
  }

  function copyOf(name) {
    const body = source(name).querySelector(".body").cloneNode(true);
    body.removeAttribute("id");
    body.dataset.shown = name;
    return body;
  }

  function show(name) {
    panel.hidden = name === null;
    page.documentElement.classList.toggle("inspecting", name !== null);
    if (name === null) {
      content.replaceChildren();
      live.textContent = "";
      if (origin?.isConnected) origin.focus({ preventScroll: true });
      origin = null;
      return;
    }
    const summary = source(name).querySelector("summary");
    heading.replaceChildren(...Array.from(summary.childNodes, (node) => node.cloneNode(true)));
    content.replaceChildren(copyOf(name));
    content.scrollTop = 0;
    panel.scrollTop = 0;
    back.hidden = !selection.canGoBack;
    live.textContent = summary.querySelector(".spoken").textContent;
  }

  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      selection.clear();
    }
  });
  selection.listen(show);

  return {
    /** Choose a number; from the keyboard the focus goes to the panel, and back when it closes. */
    open(name, from, byKeyboard) {
      if (panel.contains(from)) {
        move(() => selection.choose(name));
        return;
      }
      origin = from;
      selection.choose(name);
      if (byKeyboard && !panel.hidden) heading.focus();
    },
  };
}
