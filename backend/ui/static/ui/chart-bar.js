// The bar above the charts: ranges, from and to, moves, live.

import { LONGEST, SHORTEST, localInput, rangeMs, spanText, zoneOf } from "./chart-time.js";
import { serverNow } from "./time.js";

/** Wires the bar to a board; returns what brings it up to date. */
export function startBar(board) {
  const bar = document.getElementById("chartbar");
  const free = document.getElementById("free-range");
  const form = document.getElementById("free-form");
  const [from, to] = [document.getElementById("free-from"), document.getElementById("free-to")];
  const problem = document.getElementById("free-problem");
  const live = document.getElementById("chart-live");
  const liveText = document.getElementById("chart-live-text");
  const span = document.getElementById("chart-span");

  bar.addEventListener("change", (event) => {
    if (event.target.name !== "range") return;
    board.setTime({ range: rangeMs(event.target.value), fixed: null, at: board.at });
    board.load();
    board.changed({ push: true });
  });
  bar.addEventListener("click", (event) => {
    const move = event.target.closest("[data-move]")?.dataset.move;
    if (move === "left") board.pan(-0.5);
    if (move === "right") board.pan(0.5);
    if (move === "in") board.zoom(0.5, 0.5);
    if (move === "out") board.zoom(2, 0.5);
  });
  live.addEventListener("click", () => (board.live ? board.stop() : board.goLive()));
  free.addEventListener("toggle", () => {
    if (!free.open) return;
    const [start, end] = board.window();
    from.value = localInput(start);
    to.value = localInput(end);
    problem.hidden = true;
    document.getElementById("free-zone").textContent = `your time zone (${Intl.DateTimeFormat().resolvedOptions().timeZone}, now ${zoneOf(serverNow())})`;
    from.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [start, end] = [new Date(from.value).getTime(), new Date(to.value).getTime()];
    const wrong = Number.isNaN(start) || Number.isNaN(end) ? "Give a day and a time for both."
      : end <= start ? "“To” lies before “from”: swap them."
      : end - start > LONGEST ? "That is more than 50 years: choose less."
      : "";
    problem.textContent = wrong;
    problem.hidden = !wrong;
    if (wrong) return;
    free.open = false;
    board.setTime({ fixed: [start, Math.max(end, start + SHORTEST)], at: board.at });
    board.load();
    board.changed({ push: true });
  });

  return () => {
    const [start, end] = board.window();
    const text = spanText(start, end);
    if (span.textContent !== text) span.textContent = text;
    const length = Math.round(board.range);
    for (const radio of bar.querySelectorAll('input[name="range"]')) radio.checked = board.live && rangeMs(radio.value) === length;
    const word = !board.live ? "Go live" : board.frozen ? "Paused while you look" : "Live";
    if (liveText.textContent !== word) liveText.textContent = word;
    live.setAttribute("aria-pressed", String(board.live));
    live.dataset.state = !board.live ? "off" : board.frozen ? "held" : "on";
  };
}

/** Range, from, to and at of an address; `fallback` (a range's text) where it names none. */
export function timeOf(query, fallback) {
  const moment = (name) => {
    const text = query.get(name);
    const value = text === null ? NaN : /^-?\d{1,17}$/.test(text) ? Number(text) : Date.parse(text);
    return Number.isFinite(value) && Math.abs(value) < 8.64e15 ? value : null;
  };
  const at = moment("at");
  const [from, to] = [moment("from"), moment("to")];
  const range = rangeMs(query.get("range")) ?? rangeMs(fallback);
  if (from !== null && (to ?? serverNow()) > from) return { fixed: [from, Math.min(to ?? serverNow(), from + LONGEST)], range: (to ?? serverNow()) - from, at };
  if (at !== null && !query.get("range")) return { fixed: [at - range / 2, at + range / 2], range, at };
  return { fixed: null, range, at };
}

/** Shows what the address says, now and whenever the browser goes back or forth; `told` is called before the charts are read. */
export function followAddress(board, fallback, told) {
  const read = () => {
    board.setTime(timeOf(new URLSearchParams(window.location.search), fallback));
    told();
    board.load();
  };
  read();
  window.addEventListener("popstate", read);
}

/** The other way round: what the address says of a board's time. */
export function timeQuery(board, rangeText) {
  const query = new URLSearchParams();
  if (board.fixed) {
    query.set("from", new Date(Math.round(board.fixed[0])).toISOString());
    query.set("to", new Date(Math.round(board.fixed[1])).toISOString());
  } else query.set("range", rangeText(board.range));
  if (board.at !== null) query.set("at", new Date(board.at).toISOString());
  return query;
}

/** As people want to read an address. */
export function readable(query) {
  return query.toString().replaceAll("%2F", "/").replaceAll("%3A", ":");
}
