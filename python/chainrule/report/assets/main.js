/** Joins the parts on this page. A page of another kind would bring its own. */

import { mountHighlight } from "./highlight.js";
import { mountInspector } from "./inspector.js";
import { readModel } from "./model.js";
import { mountRoving } from "./roving.js";
import { createSelection } from "./selection.js";

function start(page) {
  const model = readModel(page);
  const sources = new Map();
  for (const details of page.querySelectorAll("details.item")) {
    sources.set(details.dataset.for, details);
  }
  const selection = createSelection((name) => model.items.has(name));
  const panel = page.getElementById("inspector");
  const inspector = mountInspector(panel, selection, (name) => sources.get(name) ?? null);
  mountHighlight(page.querySelector("main"), model, selection);
  for (const group of page.querySelectorAll("svg.graph, table.matrix")) mountRoving(group);

  page.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-item]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    inspector.open(link.dataset.item, link, event.detail === 0);
  });
  page.addEventListener("keydown", (event) => {
    if (event.key === "Escape") selection.clear();
  });
  selection.listen((name) => {
    const place = page.defaultView.location;
    page.defaultView.history.replaceState(null, "", name ? `#${name}` : place.pathname + place.search);
  });

  const asked = decodeURIComponent(page.defaultView.location.hash.slice(1));
  if (model.items.has(asked)) selection.choose(asked);
}

start(document);
