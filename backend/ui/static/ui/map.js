// The map of devices: what it shows, how it is moved, the list beside it, and what changes while one looks.

import { fetchJson } from "./fetch.js";
import { draw, palette, radiusOf, STATUSES } from "./map-draw.js";
import { clustered, landOf, MOST_ZOOM, project, unproject, View } from "./map-view.js";
import { relative, tick } from "./time.js";

const NEAR_PX = 46; // marks nearer than that become one
const LISTED = 200;
const LIVE_MS = 1000;
const NAMES = 200; // asked for at once
const LONGEST = 6000; // characters of an address
const STRANGER_MS = 60_000; // a device that is not on the map is looked at so often
const COARSE_ZOOM = 7; // from here on the outline is coarser than the screen
const MOVED_MS = 300;
const KEY_PX = 80;

const root = document.querySelector("[data-map]");
const config = JSON.parse(document.getElementById("map-data").textContent);
const box = root.querySelector("[data-map-box]");
const canvas = box.querySelector("canvas");
const context = canvas.getContext("2d");
const tip = root.querySelector("[data-map-tip]");
const card = root.querySelector("[data-map-place]");
const note = root.querySelector("[data-map-note]");
const search = root.querySelector("#map-search");
const body = root.querySelector("[data-map-rows] tbody");
const view = new View();

const places = new Map(); // "endpoint instance" → { key, endpoint, instance, latitude, longitude, status, time, x, y }
const unusable = new Map();
const reporting = new Set(); // endpoints of both
let marks = [];
let level = null; // marks are made anew when the zoom has changed by one
let land = null;
let track = [];
let tracked = "";
let hovered = null;
let chosen = null;
let colours = palette();
let frame = 0;
let moved = 0;
let problem = "";

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const addressOf = (pattern, endpoint) => pattern.replace("ENDPOINT", endpoint.split("/").map(encodeURIComponent).join("/"));

// -- what there is

function put({ places: known, unusable: others }, names = null) {
  const kept = chosen?.key;
  if (names === null) {
    places.clear();
    unusable.clear();
  } else {
    for (const map of [places, unusable]) for (const [key, one] of map) if (names.has(one.endpoint)) map.delete(key);
  }
  for (const [endpoint, instance, latitude, longitude, status, time] of known) {
    const key = `${endpoint} ${instance}`;
    places.set(key, { key, endpoint, instance, latitude, longitude, status, time, ...project(latitude, longitude) });
  }
  for (const [endpoint, instance, why, time] of others) {
    const key = `${endpoint} ${instance}`;
    unusable.set(key, { key, endpoint, instance, why, time });
  }
  if (names === null) reporting.clear();
  for (const [endpoint] of [...known, ...others]) reporting.add(endpoint);
  chosen = kept ? (places.get(kept) ?? null) : null;
  level = null;
  hovered = null;
}

function mark() {
  if (level === Math.floor(view.zoom)) return;
  level = Math.floor(view.zoom);
  const radius = level >= MOST_ZOOM - 1 ? 1e-9 : NEAR_PX / (256 * 2 ** level);
  marks = clustered([...places.values()], radius);
  for (const one of marks) {
    one.counts = {};
    for (const place of one.places) one.counts[place.status] = (one.counts[place.status] ?? 0) + 1;
  }
}

// -- drawing

function redraw() {
  frame ||= requestAnimationFrame(paint);
}

function paint() {
  frame = 0;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(view.width * ratio) || canvas.height !== Math.round(view.height * ratio)) {
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
  }
  const began = performance.now();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  mark();
  const shown = draw(context, view, { land, marks, track, hovered, chosen, colours });
  // what is on the screen, for styles and for whoever asks
  Object.assign(box.dataset, { marks: shown, zoom: view.zoom.toFixed(2), ms: (performance.now() - began).toFixed(1) });
  scaleBar();
  say();
}

function scaleBar() {
  const most = view.metres * 110;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = [5, 2, 1].find((one) => one * power <= most) * power;
  root.querySelector("[data-map-scale]").textContent = length >= 1000 ? `${length / 1000} km` : `${length >= 1 ? length : length.toFixed(2)} m`;
  root.querySelector(".map-scale i").style.width = `${length / view.metres}px`;
}

function say() {
  const coarse = view.zoom > COARSE_ZOOM && land ? "The outline of land is coarse, positions are exact." : "";
  const text = problem || (land === null && root.dataset.landless ? "Land cannot be drawn: its outline was not set up." : coarse);
  if (note.textContent !== text) note.textContent = text;
}

// -- the address

function remember() {
  clearTimeout(moved);
  moved = setTimeout(() => {
    const query = new URLSearchParams();
    const middle = unproject(view.x, view.y);
    const digits = Math.max(1, Math.min(6, Math.round(view.zoom / 3)));
    query.set("view", [middle.latitude.toFixed(digits), middle.longitude.toFixed(digits), view.zoom.toFixed(1)].join(","));
    if (chosen) query.set("device", chosen.endpoint);
    if (chosen && tracked === chosen.key) query.set("track", "1");
    window.history.replaceState(null, "", `?${query}`);
  }, MOVED_MS);
}

function fromAddress() {
  const query = new URLSearchParams(window.location.search);
  const [latitude, longitude, zoom] = (query.get("view") ?? "").split(",").map(Number);
  const wanted = query.get("device");
  const one = wanted ? [...places.values()].find((place) => place.endpoint === wanted) : null;
  if ([latitude, longitude, zoom].every(Number.isFinite) && Math.abs(latitude) <= 90) {
    Object.assign(view, project(latitude, longitude), { zoom });
    view.bound();
  } else if (one) {
    view.fit([one], { most: 12 });
  } else {
    view.fit([...places.values()]);
  }
  if (one) choose(one);
  else if (wanted) problem = `“${wanted}” has said no position that can be drawn.`;
  if (one && query.get("track")) showTrack(one);
}

// -- moving

function change() {
  tip.hidden = true;
  redraw();
  remember();
}

function zoomTo(list, most = 17) {
  view.fit(list, { most, margin: 70 });
  change();
}

const fingers = new Map();
let dragged = 0;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  dragged = 0;
});

canvas.addEventListener("pointermove", (event) => {
  const finger = fingers.get(event.pointerId);
  if (!finger) {
    point(event.offsetX, event.offsetY);
    return;
  }
  const next = { x: event.offsetX, y: event.offsetY };
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  dragged += Math.abs(next.x - finger.x) + Math.abs(next.y - finger.y);
  if (other) {
    const before = Math.hypot(finger.x - other.x, finger.y - other.y);
    const after = Math.hypot(next.x - other.x, next.y - other.y);
    if (before > 0 && after > 0) view.zoomBy(Math.log2(after / before), (next.x + other.x) / 2, (next.y + other.y) / 2);
    view.pan((next.x - finger.x) / 2, (next.y - finger.y) / 2);
  } else {
    view.pan(next.x - finger.x, next.y - finger.y);
  }
  fingers.set(event.pointerId, next);
  change();
});

canvas.addEventListener("pointerup", (event) => {
  const single = fingers.size === 1;
  fingers.delete(event.pointerId);
  if (single && dragged < 6) press(event.offsetX, event.offsetY);
});
canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => {
  tip.hidden = true;
  if (!hovered) return;
  hovered = null;
  redraw();
});

canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 30 : 1);
    view.zoomBy(Math.max(-1, Math.min(1, -pixels / 240)), event.offsetX, event.offsetY);
    change();
  },
  { passive: false },
);

canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: [KEY_PX, 0], ArrowRight: [-KEY_PX, 0], ArrowUp: [0, KEY_PX], ArrowDown: [0, -KEY_PX] }[event.key];
  if (steps) view.pan(...steps);
  else if (event.key === "+" || event.key === "=") view.zoomBy(1);
  else if (event.key === "-") view.zoomBy(-1);
  else if (event.key === "0") view.fit([...places.values()]);
  else if (event.key === "Escape" && chosen) choose(null);
  else return;
  event.preventDefault();
  change();
});

root.querySelector("[data-map-in]").addEventListener("click", () => {
  view.zoomBy(1);
  change();
});
root.querySelector("[data-map-out]").addEventListener("click", () => {
  view.zoomBy(-1);
  change();
});
root.querySelector("[data-map-fit]").addEventListener("click", () => zoomTo([...places.values()], 15));

function found(left, top) {
  let best = null;
  let distance = Infinity;
  for (const copy of view.copies()) {
    for (const one of marks) {
      const away = Math.hypot(view.left(one.x, copy) - left, view.top(one.y) - top);
      if (away < distance && away <= radiusOf(one) + 4) {
        best = one;
        distance = away;
      }
    }
  }
  return best;
}

function counts(one) {
  return STATUSES.filter((status) => one.counts[status]).map((status) => `${one.counts[status]} ${config.statuses[status]}`).join(", ");
}

function point(left, top) {
  const one = found(left, top);
  canvas.style.cursor = one ? "pointer" : "";
  if (one !== hovered) {
    hovered = one;
    redraw();
  }
  tip.hidden = !one;
  if (!one) return;
  if (one.places.length === 1) {
    const [place] = one.places;
    tip.replaceChildren(element("b", "", place.endpoint), element("span", "", `${config.statuses[place.status] ?? place.status} · position ${relative(place.time)}`));
  } else {
    tip.replaceChildren(element("b", "", `${one.places.length} devices`), element("span", "", counts(one)));
  }
  tip.style.left = `${Math.max(4, Math.min(left + 14, view.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, top - tip.offsetHeight - 12)}px`;
}

function press(left, top) {
  const one = found(left, top);
  tip.hidden = true;
  if (!one) {
    choose(null);
  } else if (one.places.length === 1) {
    choose(one.places[0]);
  } else {
    const xs = one.places.map((place) => place.x);
    const ys = one.places.map((place) => place.y);
    const span = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
    // closer does not part those that are at one place
    if (span * 256 * 2 ** MOST_ZOOM > NEAR_PX) zoomTo(one.places, MOST_ZOOM);
    else together(one);
  }
}

// -- one device, chosen

function badge(status) {
  const made = element("span", `status is-${status}`);
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  shape.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${config.icons}#s-${status}`);
  shape.append(use);
  made.append(shape, config.statuses[status] ?? status);
  return made;
}

function age(place) {
  const made = element("time", "", relative(place.time));
  made.dataset.time = "ago";
  made.dateTime = new Date(place.time).toISOString();
  return made;
}

function link(text, href) {
  const made = element("a", "", text);
  made.href = href;
  return made;
}

function closer() {
  const made = element("button", "iconbtn", "×");
  made.type = "button";
  made.setAttribute("aria-label", "Close");
  made.addEventListener("click", () => {
    choose(null);
    canvas.focus({ preventScroll: true });
  });
  return made;
}

function choose(place, { focus = false } = {}) {
  if (place === null || tracked !== place.key) {
    track = [];
    tracked = "";
  }
  chosen = place;
  problem = "";
  showCard(focus);
  change();
}

function showCard(focus = false) {
  card.hidden = chosen === null;
  if (chosen === null) return;
  const place = chosen;
  const title = element("div", "map-title");
  const name = link(place.endpoint, addressOf(config.device_url, place.endpoint));
  title.append(name, closer());
  const said = element("p", "mb-0");
  const since = element("span", "muted");
  since.append(" position ", age(place));
  said.append(badge(place.status), since);
  const where = element("p", "mb-0 num", `${place.latitude.toFixed(6)}, ${place.longitude.toFixed(6)}`);
  if (place.instance) where.append(element("span", "muted", ` instance ${place.instance}`));
  const way = element("button", "btn btn-quiet", tracked === place.key ? "Hide the way" : "Where it was");
  way.type = "button";
  way.setAttribute("aria-pressed", String(tracked === place.key));
  way.addEventListener("click", () => (tracked === place.key ? choose(hideTrack(place)) : showTrack(place)));
  const near = element("button", "btn btn-quiet", "Zoom to it");
  near.type = "button";
  near.addEventListener("click", () => zoomTo([place], 15));
  const buttons = element("div", "map-actions");
  buttons.append(way, near);
  card.replaceChildren(title, said, where, buttons);
  if (tracked === place.key) card.append(element("p", "mb-0 muted", track.length ? `${track.length} positions since ${new Date(track[0].time).toLocaleString()}` : "No earlier position is kept."));
  tick(card);
  if (focus) name.focus({ preventScroll: true });
}

function hideTrack(place) {
  tracked = "";
  track = [];
  return place;
}

async function showTrack(place) {
  let answer;
  try {
    answer = await fetchJson(`${addressOf(config.track_url, place.endpoint)}?instance=${place.instance}`);
  } catch (error) {
    problem = error.message;
    redraw();
    return;
  }
  if (chosen?.key !== place.key) return;
  tracked = place.key;
  track = answer.track.map(([latitude, longitude, time]) => ({ time, ...project(latitude, longitude) }));
  showCard();
  if (track.length > 1) zoomTo([...track, place], 16);
  else change();
}

/** Several devices at one place: which ones. */
function together(one) {
  choose(null);
  const title = element("div", "map-title");
  title.append(element("b", "", `${one.places.length} devices at one place`), closer());
  const names = element("ul", "map-names");
  for (const place of one.places.slice(0, 12)) {
    const row = element("li");
    row.append(badge(place.status), " ", link(place.endpoint, addressOf(config.device_url, place.endpoint)));
    names.append(row);
  }
  if (one.places.length > 12) names.append(element("li", "muted", `and ${one.places.length - 12} more`));
  card.replaceChildren(title, names);
  card.hidden = false;
}

// -- the list

let order = new Map(); // key → place in the list

/** Newest position first; while somebody is in the list, rows stay where they are. */
function sorted(all) {
  const newest = [...all].sort((a, b) => b.time - a.time || a.endpoint.localeCompare(b.endpoint) || a.instance - b.instance);
  if (body.matches(":hover, :focus-within")) newest.sort((a, b) => (order.get(a.key) ?? Infinity) - (order.get(b.key) ?? Infinity) || 0);
  return newest;
}

function list() {
  const text = search.value.trim().toLowerCase();
  const whole = sorted(places.values());
  order = new Map(whole.map((place, index) => [place.key, index]));
  const all = whole.filter((place) => place.endpoint.toLowerCase().includes(text));
  const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
  const rows = all.slice(0, LISTED).map((place) => {
    const row = element("tr");
    row.dataset.key = place.key;
    const head = element("th", "name");
    head.scope = "row";
    const button = element("button", "map-go", place.instance ? `${place.endpoint} (${place.instance})` : place.endpoint);
    button.type = "button";
    head.append(button);
    const state = element("td");
    state.append(badge(place.status));
    const since = element("td", "muted end nowrap");
    since.append(age(place));
    row.append(head, state, since);
    return row;
  });
  body.replaceChildren(...rows);
  if (focused) body.querySelector(`[data-key="${CSS.escape(focused)}"] button`)?.focus({ preventScroll: true });
  const more = root.querySelector("[data-map-more]");
  more.hidden = all.length > 0 && all.length <= LISTED;
  more.textContent = all.length ? `The newest ${LISTED} of ${all.length.toLocaleString()}: type a part of the name to find others.` : "No device with a position fits.";
  root.querySelector("[data-map-count]").textContent = places.size.toLocaleString();
  const others = root.querySelector("[data-map-unusable]");
  others.hidden = unusable.size === 0;
  others.querySelector("summary").textContent = `${unusable.size.toLocaleString()} that cannot be drawn`;
  others.querySelector("ul").replaceChildren(
    ...[...unusable.values()].sort((a, b) => b.time - a.time).slice(0, LISTED).map((one) => {
      const row = element("li");
      const what = element("div", "what");
      what.append(link(one.endpoint, addressOf(config.device_url, one.endpoint)), one.instance ? ` (${one.instance}): ${one.why}` : `: ${one.why}`);
      const when = element("span", "when");
      when.append(age(one));
      row.append(what, when);
      return row;
    }),
  );
  const empty = places.size + unusable.size === 0;
  root.hidden = empty;
  document.querySelector("[data-map-empty]").hidden = !empty;
  tick(root);
}

body.addEventListener("click", (event) => {
  const place = places.get(event.target.closest("[data-key]")?.dataset.key);
  if (!place) return;
  view.fit([place], { most: Math.max(view.zoom, 12) });
  choose(place, { focus: true });
});
search.addEventListener("input", list);

// -- fetching

const pending = new Set();
const strangers = new Map();
let busy = false;
let whole = false;
let first = true;
let lastWhole = 0;

async function look() {
  if (busy || (!whole && !pending.size)) return;
  busy = true;
  const names = new Set();
  if (whole) {
    pending.clear();
  } else {
    let length = 0;
    for (const name of pending) {
      length += encodeURIComponent(name).length + 8;
      if (names.size >= NAMES || (names.size && length > LONGEST)) break;
      names.add(name);
      pending.delete(name);
    }
  }
  const all = whole;
  whole = false;
  try {
    const query = new URLSearchParams([...names].map((name) => ["device", name]));
    const answer = await fetchJson(all ? config.places_url : `${config.places_url}?${query}`);
    if (all) lastWhole = performance.now();
    problem = "";
    put(answer, all ? null : names);
    list();
    if (first) {
      first = false;
      resize();
      fromAddress();
    }
    if (chosen) showCard(card.contains(document.activeElement));
    else if (!card.querySelector(".map-names")) card.hidden = true;
  } catch (error) {
    problem = error.message;
    if (all) whole = true;
  }
  busy = false;
  redraw();
}

function heard(event) {
  const name = event.detail?.device;
  if (!name) return;
  if (!reporting.has(name)) {
    // most values of most devices are no positions
    const now = performance.now();
    if (now - (strangers.get(name) ?? -Infinity) < STRANGER_MS) return;
    strangers.set(name, now);
  }
  pending.add(name);
}

document.addEventListener("fn:values", heard);
document.addEventListener("fn:status", heard);
document.addEventListener("fn:resync", () => {
  if (performance.now() - lastWhole > 2000) whole = true;
});
setInterval(() => {
  if (!document.hidden) look();
}, LIVE_MS);

// -- the frame

function resize() {
  const { width, height } = box.getBoundingClientRect();
  if (!width || !height) return;
  view.resize(width, height);
  redraw();
}

new ResizeObserver(resize).observe(box);
document.addEventListener("fn:theme", () => {
  colours = palette();
  redraw();
});

async function fetchLand() {
  try {
    land = landOf(await (await fetch(root.dataset.land)).json());
  } catch {
    root.dataset.landless = "1"; // axes and scale are enough to find one's way
  }
  redraw();
}

fetchLand();
whole = true;
look();
