// The box in which series are found by words: a combobox (ARIA 1.2), by keyboard and by pointer.

import { element } from "./chart-panel.js";

const PAUSE_MS = 120;
let boxes = 0;

export function startPicker(root, panel, search) {
  const input = root.querySelector("input");
  const list = root.querySelector("[role=listbox]");
  const number = ++boxes;
  list.id = `picker-list-${number}`;
  input.setAttribute("aria-controls", list.id);
  let [found, active, timer, asked, more] = [[], -1, 0, 0, false];

  const there = (one) => panel.series.some((other) => other.key === one.key);

  function activate(index) {
    active = index;
    [...list.children].forEach((item, i) => item.classList.toggle("active", i === index));
    const item = list.children[index];
    if (item?.id) input.setAttribute("aria-activedescendant", item.id);
    else input.removeAttribute("aria-activedescendant");
    item?.scrollIntoView({ block: "nearest" });
  }

  function open() {
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  }

  function option(id, selected, ...children) {
    const item = element("li", { id: `picker-${number}-${id}` }, ...children);
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(selected));
    return item;
  }

  function draw(problem = "") {
    const items = found.map((one, i) => option(i, there(one),
      element("b", { textContent: one.device }), " ",
      element("span", { textContent: one.name }), " ",
      element("span", { className: "mono muted", textContent: `${one.path}${one.unit ? ` · ${one.unit}` : ""}` })));
    const left = found.filter((one) => !there(one)).length;
    if (left > 1) items.push(option("all", false, element("b", { textContent: `Add all ${left} of these` }), more ? " (there are more: type another word)" : ""));
    if (!found.length) {
      const text = problem || (input.value.trim() ? "Nothing matches: every word must occur in the device's name, the path or what is measured." : "There are no series yet.");
      const item = option("none", false, text);
      item.setAttribute("aria-disabled", "true");
      items.push(item);
    }
    list.replaceChildren(...items);
    open();
    activate(found.length && input.value.trim() ? Math.max(0, found.findIndex((one) => !there(one))) : -1);
  }

  async function look() {
    const request = ++asked;
    try {
      const response = await fetch(`${search}?${new URLSearchParams({ q: input.value })}`, { headers: { "X-Requested-With": "XMLHttpRequest" } });
      if (!response.ok || response.redirected) throw new Error(`The server answered ${response.status}.`);
      const answer = await response.json();
      if (request !== asked || document.activeElement !== input) return;
      ({ items: found, more } = answer);
      draw();
    } catch {
      if (request !== asked) return;
      found = [];
      draw("The series could not be read: is the server there? Type again to try again.");
    }
  }

  function choose(index) {
    if (index === found.length && list.lastElementChild?.id.endsWith("-all")) panel.add(found.filter((one) => !there(one)));
    else if (found[index] && there(found[index])) panel.drop(panel.series.findIndex((one) => one.key === found[index].key));
    else if (found[index]) panel.add([found[index]]);
    else return;
    input.focus();
    const kept = active;
    draw();
    activate(Math.min(kept, list.children.length - 1));
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  input.addEventListener("focus", () => {
    if (list.hidden) look();
  });
  input.addEventListener("click", () => {
    if (list.hidden) look();
  });
  input.addEventListener("blur", () => {
    asked += 1;
    close();
  });
  input.addEventListener("keydown", (event) => {
    const last = list.children.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) look();
      else activate(event.key === "ArrowDown" ? (active >= last ? 0 : active + 1) : active <= 0 ? last : active - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && active >= 0) choose(active);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  // the box keeps the focus while something in the list is clicked
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const item = event.target.closest("[role=option]");
    if (item) choose([...list.children].indexOf(item));
  });
}
