// Brings a part of the page to what the server says now, in place: only cells that differ are touched, so nothing
// jumps, no selection and no open <details> is lost, and a change can be marked.
//
// In the markup: [data-cell="a name that is unique in the part"], with [data-flash] where a change is worth marking.

import { tick } from "./time.js";

const MARKED_MS = 2000;

/** The cells of this part; those of a kept element in it, and of a part within the part, are not its own. */
function cellsOf(root) {
  const own = [...root.querySelectorAll("[data-cell]")].filter((cell) => {
    const inner = cell.closest("[data-keep], [data-refresh]");
    return !inner || inner === root || inner.contains(root);
  });
  return new Map(own.map((cell) => [cell.dataset.cell, cell]));
}

/** What the reader works in ([data-keep], after the element with [data-path]) survives its surroundings. */
function put(root, kept, focused) {
  for (const element of kept) {
    root.querySelector(`[data-path="${CSS.escape(element.dataset.keep)}"]`)?.after(element);
  }
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

/** The markup without what the ticking clock and the reader have put into it, and what differs each time. */
function settled(cell) {
  const copy = cell.cloneNode(true);
  for (const time of copy.querySelectorAll("time[data-time]")) {
    time.textContent = "";
    time.removeAttribute("title");
  }
  for (const details of copy.querySelectorAll("details")) details.removeAttribute("open");
  // the token is masked anew in every answer
  for (const token of copy.querySelectorAll("input[name=csrfmiddlewaretoken]")) token.removeAttribute("value");
  return copy.innerHTML.replace(/\s+/g, " ").trim();
}

/** Is the difference more than a new time? An age that starts again is no change worth marking. */
function textOf(cell) {
  const copy = cell.cloneNode(true);
  for (const time of copy.querySelectorAll("time[data-time]")) time.remove();
  return copy.textContent.replace(/\s+/g, " ").trim();
}

function replace(cell, next) {
  const mark = cell.dataset.flash !== undefined && textOf(cell) !== textOf(next);
  const open = [...cell.querySelectorAll("details")].map((details) => details.open);
  const focused = cell.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  cell.replaceChildren(...next.childNodes);
  cell.querySelectorAll("details").forEach((details, index) => {
    details.open = open[index] ?? false;
  });
  window.htmx?.process(cell);
  if (focused) [...cell.querySelectorAll("[href]")].find((link) => link.getAttribute("href") === focused)?.focus();
  if (!mark) return;
  cell.classList.remove("changed");
  void cell.offsetWidth; // restarts the animation
  cell.classList.add("changed");
  clearTimeout(Number(cell.dataset.unmark));
  cell.dataset.unmark = setTimeout(() => cell.classList.remove("changed"), MARKED_MS);
}

/**
 * Patches `root` with the [data-part] in `html`. Where cells have come or gone the whole part is replaced, unless
 * `rowsStay` (a page of a list keeps its rows until the reader asks for others).
 */
export function patch(root, html, { rowsStay = false } = {}) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-part]");
  if (!fresh) return;
  const old = cellsOf(root);
  const next = cellsOf(fresh);
  const same = old.size === next.size && [...next.keys()].every((name) => old.has(name));
  if (same || rowsStay) {
    for (const [name, cell] of old) {
      const other = next.get(name);
      if (other && settled(cell) !== settled(other)) replace(cell, other);
    }
  } else {
    const open = new Set([...root.querySelectorAll("details[open][data-id]")].map((details) => details.dataset.id));
    const closed = new Set([...root.querySelectorAll("details[data-id]:not([open])")].map((details) => details.dataset.id));
    const kept = [...root.querySelectorAll("[data-keep]")];
    const focused = kept.some((element) => element.contains(document.activeElement)) ? document.activeElement : null;
    root.replaceChildren(...fresh.childNodes);
    for (const details of root.querySelectorAll("details[data-id]")) {
      // what is new keeps the state it comes with
      if (open.has(details.dataset.id)) details.open = true;
      else if (closed.has(details.dataset.id)) details.open = false;
    }
    put(root, kept, focused);
    window.htmx?.process(root);
  }
  tick(root);
}
