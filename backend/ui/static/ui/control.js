// Acting on devices: the panel of a place in the object tree, inputs that fit a type, choosing many devices.

import { tick } from "./time.js";

// ---- the panel opens below its row; the address tells which one is open

const tree = document.getElementById("tree");

function rowOf(path) {
  return tree?.querySelector(`[data-path="${CSS.escape(path)}"]`) ?? null;
}

function closePanel() {
  for (const row of tree.querySelectorAll(".panel-row")) row.remove();
  for (const link of tree.querySelectorAll("[data-at][aria-expanded=true]")) link.setAttribute("aria-expanded", "false");
}

function openPath() {
  return tree?.querySelector("[data-panel-of]")?.dataset.panelOf ?? "";
}

function reveal(element) {
  for (let details = element.closest("details"); details; details = details.parentElement.closest("details")) details.open = true;
}

/** Puts the panel of `path` below its row; `type`: of a value whose type no model knows. */
async function openPanel(path, { type = "" } = {}) {
  const row = rowOf(path);
  if (!row) return;
  const ask = new URLSearchParams({ at: path });
  if (type) ask.set("type", type);
  let response;
  try {
    response = await fetch(`${tree.dataset.panel}?${ask}`, { headers: { "X-Requested-With": "XMLHttpRequest" } });
  } catch {
    document.dispatchEvent(new CustomEvent("fn:unreachable"));
    return;
  }
  if (!response.ok || response.redirected) {
    window.location.assign(`?at=${encodeURIComponent(path)}`);
    return;
  }
  const panel = new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".panel");
  closePanel();
  const inTable = row.tagName === "TR";
  const holder = document.createElement(inTable ? "tr" : "div");
  holder.className = "panel-row";
  holder.dataset.keep = path;
  if (inTable) {
    const cell = document.createElement("td");
    cell.colSpan = 5;
    cell.append(panel);
    holder.append(cell);
  } else holder.append(panel);
  rowOf(path).after(holder);
  reveal(holder);
  for (const link of tree.querySelectorAll(`[data-at="${CSS.escape(path)}"]`)) link.setAttribute("aria-expanded", "true");
  window.htmx?.process(holder);
  ready(holder);
  const { bottom } = holder.getBoundingClientRect();
  if (bottom > window.innerHeight) holder.scrollIntoView({ block: "nearest" });
}

function remember(path) {
  const url = new URL(window.location.href);
  if (path) url.searchParams.set("at", path);
  else url.searchParams.delete("at");
  window.history.pushState({ panel: path }, "", url);
}

function follow(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const close = event.target.closest("[data-panel-close]");
  if (close) {
    event.preventDefault();
    const path = openPath();
    closePanel();
    remember("");
    tree.querySelector(`[data-at="${CSS.escape(path)}"]`)?.focus();
    return;
  }
  const link = event.target.closest("a[data-at]");
  if (!link || !tree?.contains(link)) return;
  event.preventDefault();
  const menu = link.closest("details.menu");
  if (menu) menu.open = false;
  if (openPath() === link.dataset.at) {
    closePanel();
    remember("");
  } else {
    openPanel(link.dataset.at);
    remember(link.dataset.at);
  }
}

if (tree) {
  document.addEventListener("click", follow);
  document.addEventListener("keydown", (event) => {
    const panel = event.target.closest?.(".panel");
    if (event.key === "Escape" && panel) panel.querySelector("[data-panel-close]").click();
  });
  window.addEventListener("popstate", () => {
    const path = new URL(window.location.href).searchParams.get("at") ?? "";
    if (path === openPath()) return;
    if (path) openPanel(path);
    else closePanel();
  });
  const first = tree.querySelector(".panel-row");
  if (first) {
    reveal(first);
    first.scrollIntoView({ block: "center" });
    // once more when all has its place: style sheets and the chart move what is below them
    window.addEventListener("load", () => first.isConnected && first.scrollIntoView({ block: "center" }), { once: true });
  }
}

// ---- inputs

const pad = (number) => String(number).padStart(2, "0");

/** A time as the browser's own field has it, in the reader's zone. */
function local(date) {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** Without script a time is typed with its zone; with it the browser's own field takes the reader's zone. */
function ready(root) {
  for (const input of root.querySelectorAll("input[data-time-input]:not([type=datetime-local])")) {
    const then = new Date(input.value);
    const name = input.name;
    input.value = ""; // the browser's field does not know zones
    input.type = "datetime-local";
    input.step = "1";
    input.value = Number.isNaN(then.getTime()) ? "" : local(then);
    const sent = Object.assign(document.createElement("input"), { type: "hidden", name });
    input.removeAttribute("name");
    input.after(sent);
    const follow = () => {
      const chosen = new Date(input.value);
      sent.value = Number.isNaN(chosen.getTime()) ? "" : chosen.toISOString();
    };
    follow();
    input.addEventListener("input", follow);
    input.addEventListener("change", follow);
  }
  tick(root);
}

async function hexOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

document.addEventListener("click", (event) => {
  const now = event.target.closest("[data-time-now]");
  if (now) {
    const input = now.parentElement.querySelector("[data-time-input]");
    input.value = local(new Date());
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const add = event.target.closest("[data-row-add]");
  if (add) {
    const multi = add.closest(".multi");
    const rows = multi.querySelector("[data-rows]");
    const numbers = [...rows.querySelectorAll("input[name=number]")].map((one) => Number(one.value));
    rows.append(multi.querySelector("[data-row-template]").content.cloneNode(true));
    const row = rows.lastElementChild;
    row.querySelector("input[name=number]").value = numbers.length ? Math.max(...numbers) + 1 : 0;
    // an id once more would be one too many
    row.querySelectorAll("[id]").forEach((one) => one.removeAttribute("id"));
    ready(row);
    row.querySelector("input:not([name=number]), select, textarea")?.focus();
  }
  const remove = event.target.closest("[data-row-remove]");
  if (remove) {
    const multi = remove.closest(".multi");
    remove.closest("[data-row]").remove();
    multi.querySelector("[data-row-add]").focus();
  }
});

document.addEventListener("change", async (event) => {
  if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
  if (event.target.matches("[data-value-type]") && tree?.contains(event.target)) {
    openPanel(openPath(), { type: event.target.value });
  }
  if (event.target.matches("[data-hex-file]") && event.target.files[0]) {
    event.target.closest(".with-button").querySelector("textarea").value = await hexOf(event.target.files[0]);
  }
});

document.addEventListener("submit", (event) => {
  const menu = event.target.matches?.("[data-closes-menu]") && event.target.closest("details.menu");
  if (!menu) return;
  menu.open = false;
  // the answer is told in the object's own part of the tree
  const object = menu.parentElement.querySelector(":scope > details.object-body");
  if (object) object.open = true;
});

// an object's menu is fetched when it opens: a device may have hundreds of them
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.("details.object-menu[open]")) window.htmx?.trigger(event.target, "opened");
  },
  true,
);

document.addEventListener("htmx:afterSwap", (event) => ready(event.target));
ready(document);

// ---- many devices: the bar says how many are chosen, "all" means all that fit the filter

function bar() {
  const form = document.getElementById("bulk");
  if (!form) return;
  const boxes = [...document.querySelectorAll("input[name=id][form=bulk]")];
  const chosen = boxes.filter((box) => box.checked).length;
  const whole = document.querySelector("[data-choose-page]");
  const all = form.querySelector("[name=all]");
  if (whole) {
    whole.checked = chosen > 0 && chosen === boxes.length;
    whole.indeterminate = chosen > 0 && chosen < boxes.length;
  }
  form.dataset.chosen = String(all?.checked ? 1 : chosen);
  form.querySelector("[data-chosen]").textContent = all?.checked ? "" : `${chosen} chosen`;
  for (const button of form.querySelectorAll("button")) button.disabled = !chosen && !all?.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-choose-page]")) {
    for (const box of document.querySelectorAll("input[name=id][form=bulk]")) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-choose-page], input[form=bulk], #bulk input")) bar();
});
document.addEventListener("htmx:afterSwap", bar);
bar();
