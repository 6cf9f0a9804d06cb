// Parts that keep themselves current: <div data-refresh="URL" data-on="values status" data-every="5000">.
// A part fetches itself after such an event, at most twice a second, and is patched in place.

import { fetchPart } from "./fetch.js";
import { patch } from "./patch.js";

const LEAST_MS = 500;
const BEAT_MS = 1000;
const timers = new WeakMap();

/** Fetches one part and patches it; a failure leaves it as it is (the banner tells of a lost connection). */
async function refresh(part) {
  const url = part.dataset.refresh;
  let response;
  try {
    response = await fetchPart(url);
  } catch {
    return;
  }
  if (!response.ok || response.status === 204) return;
  const html = await response.text();
  // the reader may have moved on to other rows meanwhile
  if (part.isConnected && part.dataset.refresh === url) patch(part, html, { rowsStay: part.dataset.rowsStay !== undefined });
}

/** At once where the last fetch is long ago, else as soon as the pause is over; never two at a time. */
function ask(part) {
  const state = timers.get(part) ?? { busy: false, again: false, last: 0, timer: 0 };
  timers.set(part, state);
  if (state.busy) {
    state.again = true;
    return;
  }
  if (state.timer) return;
  const least = Number(part.dataset.least) || LEAST_MS;
  const wait = Math.max(0, state.last + least - performance.now());
  state.timer = setTimeout(async () => {
    state.timer = 0;
    state.busy = true;
    state.last = performance.now();
    await refresh(part);
    state.busy = false;
    if (state.again) {
      state.again = false;
      ask(part);
    }
  }, wait);
}

function parts() {
  return document.querySelectorAll("[data-refresh]");
}

function heard(event) {
  const name = event.type.slice(3);
  for (const part of parts()) {
    if (name === "resync" || part.dataset.on?.split(" ").includes(name)) ask(part);
  }
}

/** Listens for live events and keeps the slow beat of parts that have one. */
export function startRefreshing() {
  for (const name of ["values", "status", "commands", "firmware", "logs", "alerts", "server", "resync"]) document.addEventListener(`fn:${name}`, heard);
  // parts may be swapped for others: the beat looks for those that are there now
  let beat = 0;
  setInterval(() => {
    beat += BEAT_MS;
    if (document.hidden) return;
    for (const part of parts()) {
      const every = Number(part.dataset.every);
      if (every && beat % every < BEAT_MS) ask(part);
    }
  }, BEAT_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) parts().forEach(ask);
  });
}
