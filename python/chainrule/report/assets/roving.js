/** One stop of the Tab key for each picture and matrix; arrow keys walk between its numbers. */

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The link nearest to `from` in a direction; sideways costs double. */
export function nearest(from, links, [dx, dy]) {
  const centre = (link) => {
    // lines cross, their labels do not
    const own = link.querySelector(".pill, .area, .box") ?? link;
    const box = own.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = centre(from);
  let best = null;
  let least = Infinity;
  for (const link of links) {
    if (link === from) continue;
    const [u, v] = centre(link);
    const ahead = (u - x) * dx + (v - y) * dy;
    const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
    const distance = ahead + 2 * aside;
    if (ahead > 1 && distance < least) [best, least] = [link, distance];
  }
  return best;
}

/** @param {Element} group holds the links */
export function mountRoving(group) {
  const links = [...group.querySelectorAll("a[data-item]")];
  if (links.length < 2) return;
  for (const link of links.slice(1)) link.setAttribute("tabindex", "-1");

  group.addEventListener("focusin", (event) => {
    if (!links.includes(event.target)) return;
    for (const link of links) link.setAttribute("tabindex", link === event.target ? "0" : "-1");
  });
  group.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    const from = event.target.closest("a[data-item]");
    if (!step || !from || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = nearest(from, links, step);
    event.preventDefault();
    next?.focus();
  });
}
