// Explore: charts as the address says, and the address as the charts are. What it holds: backend/ui/charts/address.py.

import { readable, startBar, timeOf, timeQuery } from "./chart-bar.js";
import { Board } from "./chart-board.js";
import { rangeText } from "./chart-time.js";
import { startPicker } from "./explore-picker.js";

const MISSING_MS = 2000;
const root = document.getElementById("board");
const panelsRoot = document.getElementById("panels");
const template = document.getElementById("panel-template");
const fallback = document.getElementById("chartbar").dataset.range;
const maxCharts = Number(root.dataset.maxCharts);
const place = (name, number) => (number === 1 ? name : `${name}${number}`);

let looking = 0;
let updateBar = () => {};

const board = new Board(root, {
  picking: true,
  onState({ push, missing }) {
    updateBar();
    if (missing) lookForMissing();
    if (push === true) remember(true);
    else if (push === false) remember(false);
  },
});

function seriesQuery(query) {
  let number = 0;
  for (const panel of board.panels) {
    if (!panel.series.length) continue;
    number += 1;
    for (const one of panel.series) query.append(place("s", number), one.key);
    const title = panel.title.value.trim();
    if (title) query.append(place("t", number), title);
  }
  for (const panel of board.panels) for (const one of panel.series) if (one.hidden) query.append("hide", one.key);
  return query;
}

function remember(push) {
  const query = seriesQuery(new URLSearchParams());
  for (const [name, value] of timeQuery(board, rangeText)) query.append(name, value);
  const url = `${window.location.pathname}?${readable(query)}`;
  if (url === window.location.pathname + window.location.search) return;
  window.history[push ? "pushState" : "replaceState"](null, "", url);
}

/** The page of exports takes the same series and the times that are shown now. */
function exportUrl(panels) {
  const query = new URLSearchParams();
  for (const key of new Set(panels.flatMap((panel) => panel.series.map((one) => one.key)))) query.append("s", key);
  const [start, end] = board.window();
  query.set("from", new Date(Math.round(start)).toISOString());
  query.set("to", new Date(Math.round(end)).toISOString());
  return `/export/?${readable(query)}`;
}

function listenAnew() {
  const devices = new Set(board.panels.flatMap((panel) => panel.devices));
  const query = new URLSearchParams([...devices].map((device) => ["device", device]));
  document.body.dataset.live = !devices.size ? "" : query.toString().length > 12000 ? "/api/v1/live" : `/api/v1/live?${query}`;
  document.dispatchEvent(new CustomEvent("fn:devices"));
}

function adopt(section) {
  const panel = board.add(section);
  startPicker(section.querySelector("[data-picker]"), panel, root.dataset.search);
  panel.title.addEventListener("change", () => remember(false));
  section.addEventListener("click", (event) => {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act === "below") board.below(panel, []);
    if (act === "remove") removePanel(panel);
  });
  return panel;
}

function newPanel(after = null) {
  const section = template.content.firstElementChild.cloneNode(true);
  if (after) after.root.after(section);
  else panelsRoot.append(section);
  const panel = adopt(section);
  if (after) {
    board.panels.pop();
    board.panels.splice(board.panels.indexOf(after) + 1, 0, panel);
  }
  panel.drawLegend();
  return panel;
}

board.below = (panel, series) => {
  if (board.panels.length >= maxCharts) {
    panel.sayProblem([`A page holds ${maxCharts} charts: open a second page.`]);
    return;
  }
  const below = newPanel(panel);
  if (series.length) below.add(series);
  else {
    below.loaded = true;
    below.refresh();
    below.root.querySelector("[role=combobox]").focus();
  }
};

function removePanel(panel) {
  if (board.panels.length === 1) {
    panel.series = [];
    panel.drawLegend();
    panel.setSeries([]);
    panel.refresh();
  } else board.remove(panel);
  board.panels[0].root.querySelector("[role=combobox]").focus({ preventScroll: true });
  board.seriesChanged(null, { load: false });
}

board.seriesChanged = (panel, { load }) => {
  const start = document.getElementById("explore-start");
  if (start) start.hidden = board.panels.some((one) => one.series.length);
  for (const button of document.querySelectorAll("[data-dialog]")) button.disabled = !board.panels.some((one) => one.series.length);
  for (const one of board.panels) if (one !== panel) one.slide();
  remember(true);
  listenAnew();
  if (load) board.load();
};

async function resolve(keys) {
  const query = new URLSearchParams(keys.map((key) => ["s", key]));
  const response = await fetch(`${root.dataset.search}?${query}`, { headers: { "X-Requested-With": "XMLHttpRequest" } });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return new Map((await response.json()).items.map((one) => [one.key, one]));
}

/** A series that there was not may have begun. */
async function lookForMissing() {
  if (looking) return;
  looking = setTimeout(() => { looking = 0; }, MISSING_MS);
  const missing = board.panels.flatMap((panel) => panel.series.filter((one) => one.id === null));
  const found = await resolve(missing.map((one) => one.key)).catch(() => new Map());
  const begun = missing.filter((one) => found.get(one.key)?.id);
  if (!begun.length) return;
  clearTimeout(looking);
  looking = 0;
  for (const one of begun) Object.assign(one, found.get(one.key));
  for (const panel of board.panels) {
    panel.drawLegend();
    panel.setSeries(panel.series);
  }
  listenAnew();
  board.load();
}

function chartsOf(query) {
  const charts = [];
  for (let number = 1; number <= maxCharts; number += 1) {
    const keys = [...new Set(query.getAll(place("s", number)).filter(Boolean))].slice(0, board.maxSeries);
    if (keys.length) charts.push({ keys, title: query.get(place("t", number)) ?? "" });
  }
  return charts.length ? charts : [{ keys: [], title: "" }];
}

function hide(query) {
  const hidden = new Set(query.getAll("hide"));
  for (const panel of board.panels) for (const one of panel.series) one.hidden = hidden.has(one.key);
}

/** Back and forward: the charts of the address, as they were. */
async function restore() {
  const query = new URLSearchParams(window.location.search);
  const charts = chartsOf(query);
  const same = charts.length === board.panels.length && charts.every(({ keys }, i) => keys.join("\n") === board.panels[i].series.map((one) => one.key).join("\n"));
  if (!same) {
    const found = await resolve(charts.flatMap(({ keys }) => keys)).catch(() => null);
    if (!found) {
      window.location.reload();
      return;
    }
    while (board.panels.length > charts.length) board.remove(board.panels.at(-1));
    while (board.panels.length < charts.length) newPanel();
    charts.forEach(({ keys }, i) => {
      const panel = board.panels[i];
      const known = new Map(panel.series.map((one) => [one.key, one]));
      panel.series = keys.map((key) => known.get(key) ?? { ...(found.get(key) ?? { key, id: null, device: "", path: "", name: "", unit: "" }), hidden: false, drawn: null });
      panel.drawLegend();
      panel.setSeries(panel.series);
    });
    listenAnew();
  }
  charts.forEach(({ title }, i) => { board.panels[i].title.value = title; });
  hide(query);
  board.setTime(timeOf(query, fallback));
  for (const panel of board.panels) panel.refresh();
  board.load();
}

function startDialogs() {
  const charts = () => JSON.stringify(board.panels.filter((panel) => panel.series.length).map((panel) => ({ title: panel.title.value.trim() || panel.titleText, series: panel.series.map((one) => one.key) })));
  for (const button of document.querySelectorAll("[data-dialog]")) {
    button.disabled = !board.panels.some((panel) => panel.series.length);
    button.addEventListener("click", () => {
      const dialog = document.getElementById(button.dataset.dialog);
      const form = dialog.querySelector("form");
      form.elements.charts.value = charts();
      if (form.elements.range) form.elements.range.value = rangeText(board.range);
      if (form.dataset.addForm !== undefined) form.action = form.querySelector("select").value;
      dialog.showModal();
    });
  }
  document.getElementById("add-to")?.addEventListener("change", (event) => { event.target.form.action = event.target.value; });
}

for (const section of panelsRoot.querySelectorAll("[data-panel]")) adopt(section);
updateBar = startBar(board);
startDialogs();
const asked = new URLSearchParams(window.location.search);
hide(asked);
board.setTime(timeOf(asked, fallback));
board.load();
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-export]");
  if (!link) return;
  const section = link.closest("[data-panel]");
  link.href = exportUrl(board.panels.filter((panel) => !section || panel.root === section));
}, { capture: true });
window.addEventListener("popstate", restore);
// for the browser's console, and for tests
window.explore = board;
