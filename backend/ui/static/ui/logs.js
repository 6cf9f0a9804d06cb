// A stream of log lines: newest at the bottom, live while the reader is there, older and newer lines as one scrolls.
// Markup in parts/logs_stream.html; rows in logs_rows.js. What is shown, and how, is in the address.

import { fetchJson } from "./fetch.js";
import { asText, element, hue, isLate, iso, put, receivedText, Rows, whenText } from "./logs_rows.js";
import { Picker } from "./picker.js";

const MOST = 2000; // rows that are kept
const NEAR_PX = 900; // so near an edge the next lines are fetched
const AT_END_PX = 24;
const SEARCH_MS = 250;
const LEAST_MS = 200; // between two looks for new lines
const MICRO = 1000; // microseconds in a millisecond
const LOSSES = 500; // that the server tells of at once
const NO_SIGN = "||false"; // of an item before which nothing begins

const root = document.querySelector("[data-logs]");
const config = JSON.parse(document.getElementById("logs-data").textContent);
const form = root.querySelector("form");
const box = root.querySelector("[data-logs-box]");
const list = root.querySelector("[data-logs-lines]");
const pill = root.querySelector("[data-logs-pill]");
const state = root.querySelector("[data-logs-state]");
const problem = root.querySelector("[data-logs-problem]");
const nothing = root.querySelector("[data-logs-nothing]");
const edges = { older: root.querySelector("[data-logs-older]"), newer: root.querySelector("[data-logs-newer]") };
const howto = document.querySelector("[data-logs-howto]");
const rows = new Rows({ severities: config.severities, single: config.device !== null });

let items = []; // in order: { kind, time, rank, id, node, line | loss, day, before, beforeKey }
let known = new Set();
let older = null; // cursors; null: there is nothing more that way
let newer = null;
let last = 0; // the highest number of a line that we have heard of
let following = true;
let unseen = 0; // lines that came while the reader was elsewhere
let lateText = "";
let generation = 0; // answers to what was asked before the filters changed are for nobody
let busy = { older: false, newer: false };
let current = null; // the line that j and k have come to
let opened = null; // the line whose details are shown
let polling = false;
let pollAgain = false;
let polled = 0;

// -- what is asked for

const asked = { device: [], severity: "", module: [], search: "", range: "", from: "", to: "", at: "" };

function readAddress() {
  const query = new URLSearchParams(window.location.search);
  asked.device = config.device === null ? query.getAll("device").filter(Boolean) : [];
  asked.module = query.getAll("module").filter(Boolean);
  for (const name of ["severity", "search", "range"]) asked[name] = query.get(name) ?? "";
  if (!query.has("search")) asked.search = query.get("q") ?? ""; // as the server reads it
  for (const name of ["from", "to", "at"]) asked[name] = moment(query.get(name) ?? "");
  for (const name of ["severity", "range"]) {
    form.elements[name].value = asked[name];
    if (form.elements[name].value !== asked[name]) {
      asked[name] = "";
      form.elements[name].value = "";
    }
  }
  form.elements.search.value = asked.search;
  if (asked.from || asked.to) form.elements.range.value = "between";
  for (const name of ["from", "to"]) form.elements[name].value = local(asked[name]);
  form.elements.at.value = local(asked.at);
  pickers.module.set(asked.module);
  pickers.device?.set(asked.device);
}

/** A time in an address as ISO in UTC, read as the server reads it; "" for nonsense. */
function moment(text) {
  const plus = text.trim().replace(/(T.*) (\d\d:\d\d)$/, "$1+$2"); // a "+" that nobody quoted
  const then = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(plus) ? plus : `${plus}Z`);
  return Number.isNaN(then) ? "" : new Date(then).toISOString();
}

/** ISO as what a datetime-local input takes, in the reader's zone; "" for nonsense. */
function local(text) {
  const then = Date.parse(text);
  if (Number.isNaN(then)) return "";
  const date = new Date(then - new Date(then).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, -1).replace(/\.000$/, "");
}

function isoOf(input) {
  const then = Date.parse(input.value); // without a zone: the reader's
  return Number.isNaN(then) ? "" : new Date(then).toISOString();
}

function filters({ devices = true } = {}) {
  const query = new URLSearchParams();
  if (devices) for (const name of config.device === null ? asked.device : [config.device]) query.append("device", name);
  for (const name of asked.module) query.append("module", name);
  for (const name of ["severity", "search", "range", "from", "to"]) if (asked[name]) query.set(name, asked[name]);
  return query;
}

function address() {
  const query = filters({ devices: config.device === null });
  if (config.device !== null) query.set("tab", "logs");
  if (asked.at) query.set("at", asked.at);
  const text = query.toString();
  return text ? `?${text}` : window.location.pathname;
}

function narrowed() {
  return Boolean(asked.severity || asked.search || asked.range || asked.from || asked.to || asked.module.length || asked.device.length);
}

/** Does time go on without us? A range that has ended gets no new lines. */
function ended() {
  return Boolean(asked.to) && Date.parse(asked.to) < Date.now();
}

function download() {
  const query = filters();
  const range = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800 }[asked.range];
  for (const name of ["range", "from", "to"]) query.delete(name);
  const start = range ? new Date(Date.now() - range * 1000).toISOString() : asked.from;
  if (start) query.set("start", start);
  if (asked.to && !range) query.set("end", asked.to);
  for (const link of root.querySelectorAll("[data-logs-download]")) {
    query.set("format", link.dataset.logsDownload);
    link.href = `${config.download_url}?${query}`;
  }
}

// -- fetching

function ask(parameters) {
  const query = filters();
  for (const [name, value] of Object.entries(parameters)) if (value !== null && value !== "") query.set(name, value);
  return fetchJson(`${config.url}?${query}`);
}

function failed(error, again) {
  problem.hidden = false;
  problem.querySelector("[data-text]").textContent = error.message;
  problem.querySelector("button").onclick = () => {
    problem.hidden = true;
    again();
  };
}

// -- the rows

const compare = (a, b) => a.time - b.time || a.rank - b.rank || a.id - b.id;

function lineItem(line) {
  return { kind: "line", key: `l${line.id}`, time: line.time, rank: 2, id: line.id, line, day: rows.day(line.time), node: null };
}

function lossItem(loss) {
  return { kind: "loss", key: `x${loss.id}`, time: loss.time, rank: 0, id: loss.id, loss, day: rows.day(loss.time), node: null };
}

function atItem(time) {
  return { kind: "at", key: "at", time, rank: 1, id: 0, day: rows.day(time), node: null };
}

function draw(item) {
  if (item.kind === "line") item.node = rows.line(item.line, asked.search);
  else if (item.kind === "loss") item.node = rows.loss(item.loss);
  else item.node = rows.moment(item.time);
  item.node.item = item;
}

/** The place of the first item that comes after this one. */
function placeOf(item) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(items[middle], item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts what is not there yet at its place; how many lines came in before the last one. */
function merge(fresh) {
  const added = fresh.filter((item) => !known.has(item.key)).sort(compare);
  if (!added.length) return 0;
  let between = 0;
  const before = items.at(-1);
  const front = items[0];
  for (const item of added) {
    known.add(item.key);
    draw(item);
    if (item.kind === "line" && before && compare(item, before) < 0) between += 1;
  }
  const fragment = document.createDocumentFragment();
  if (!before || compare(added[0], before) > 0) {
    fragment.append(...added.map((item) => item.node));
    list.append(fragment);
    items = items.concat(added);
  } else if (compare(added.at(-1), front) < 0) {
    fragment.append(...added.map((item) => item.node));
    list.prepend(fragment);
    items = added.concat(items);
  } else {
    for (const item of added) {
      const place = placeOf(item);
      const next = items[place];
      list.insertBefore(item.node, next ? (next.before ?? next.node) : null);
      items.splice(place, 0, item);
    }
  }
  return between;
}

function drop(item) {
  known.delete(item.key);
  item.before?.remove();
  item.node.remove();
  if (current === item) current = null;
  if (opened === item) close();
}

/** A day or a boot that begins is said before its first line, wherever that is now. */
function separate() {
  const boots = new Map();
  const started = new Map();
  for (const { line } of items) if (line?.uptime !== null && line) started.set(`${line.device} ${line.boot}`, line.time - line.uptime * MICRO);
  let day = "";
  for (const item of items) {
    const sign = { day: "", boot: null };
    if (item.kind !== "at" && item.day !== day) {
      sign.day = item.day;
      day = item.day;
    }
    const { device, boot, sequence, first } = item.line ?? item.loss ?? {};
    if (boot) {
      const before = boots.get(device);
      if (before === undefined ? (sequence ?? first) === 0 : before !== boot) {
        sign.boot = { device, boot, started: started.get(`${device} ${boot}`) ?? null };
      }
      boots.set(device, boot);
    }
    const key = `${sign.day}|${sign.boot?.boot ?? ""}|${sign.boot?.started === null}`;
    if (key === (item.beforeKey ?? NO_SIGN)) continue;
    item.beforeKey = key;
    item.before?.remove();
    item.before = key === NO_SIGN ? null : rows.separator(sign);
    if (item.before) item.node.before(item.before);
  }
}

const cursor = (item) => `${item.time}.${item.kind === "line" ? item.id : 0}`;
const firstLine = () => items.find((item) => item.kind === "line");
const lastLine = () => items.findLast((item) => item.kind === "line");

/** At most MOST rows: what goes at one end can be fetched again from there. */
function trim(end) {
  const over = items.length - MOST;
  if (over <= 0) return;
  const gone = end === "top" ? items.splice(0, over) : items.splice(-over);
  gone.forEach(drop);
  if (end === "top") older = cursor(firstLine() ?? items[0]);
  else newer = cursor(lastLine() ?? items.at(-1));
}

/** Whatever happens to the rows, the one at the top of the view stays where it is; or the end, where that is followed. */
function keep(change) {
  const top = box.getBoundingClientRect().top;
  const anchor = following ? null : firstVisible();
  const offset = anchor ? anchor.node.getBoundingClientRect().top - top : 0;
  change();
  separate();
  widths();
  if (following) box.scrollTop = box.scrollHeight;
  else if (anchor?.node.isConnected) box.scrollTop += anchor.node.getBoundingClientRect().top - top - offset;
}

function firstVisible() {
  const edge = box.getBoundingClientRect().top;
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].node.getBoundingClientRect().bottom <= edge) low = middle + 1;
    else high = middle;
  }
  return items[low] ?? null;
}

let widest = { device: 4, module: 4 };

/** Columns as wide as what is in them, up to a bound; they never shrink under the reader. */
function widths() {
  const next = { ...widest };
  for (const item of items) {
    if (item.measured) continue;
    item.measured = true;
    next.device = Math.max(next.device, (item.line ?? item.loss)?.device.length ?? 0);
    next.module = Math.max(next.module, item.line?.module.length ?? 0);
  }
  if (next.device === widest.device && next.module === widest.module) return;
  widest = next;
  list.style.setProperty("--dev", `${Math.min(next.device, 22)}ch`);
  list.style.setProperty("--mod", `${Math.min(next.module, 20)}ch`);
}

function fill(page, { at = "" } = {}) {
  close();
  list.replaceChildren();
  items = [];
  known = new Set();
  current = null;
  ({ older, newer, last } = page);
  unseen = 0;
  following = !at && newer === null;
  const fresh = [...page.lines.map(lineItem), ...page.losses.map(lossItem)];
  const moment = at ? Date.parse(at) * MICRO : Number.NaN;
  if (!Number.isNaN(moment)) fresh.push(atItem(moment));
  keep(() => merge(fresh));
  list.querySelector(".ln-at")?.scrollIntoView({ block: "center" });
  say();
}

// -- what is said around the rows

function say() {
  const lines = items.reduce((number, item) => number + (item.kind === "line"), 0);
  const empty = lines === 0 && older === null && newer === null;
  if (howto && lines) howto.hidden = true;
  root.hidden = Boolean(howto && !howto.hidden);
  nothing.hidden = !empty || items.some((item) => item.kind === "loss");
  nothing.querySelector("[data-text]").textContent = narrowed()
    ? "No line fits these filters."
    : "No line is kept. New ones appear here by themselves.";
  nothing.querySelector("button").hidden = !narrowed();
  edges.older.textContent = older === null && lines ? (narrowed() ? "Nothing older fits these filters." : "This is where it begins.") : older === null ? "" : "Older lines …";
  edges.newer.textContent = newer === null ? "" : "Newer lines …";
  const parts = [`${lines.toLocaleString()} line${lines === 1 ? "" : "s"} shown`];
  if (ended()) parts.push("a range that is over");
  else if (following) parts.push("following live");
  else parts.push("live is paused while you read");
  if (lateText) parts.push(lateText);
  const text = parts.join(" · ");
  if (state.textContent !== text) state.textContent = text;
  state.dataset.following = String(following && !ended());
  pill.hidden = following;
  const word = unseen ? `${unseen.toLocaleString()} new line${unseen === 1 ? "" : "s"}` : ended() ? "To the end" : "Back to live";
  if (pill.firstChild.textContent !== word) pill.firstChild.textContent = word;
  pill.classList.toggle("news", unseen > 0);
}

// -- moving

async function load(way) {
  const from = way === "older" ? older : newer;
  if (busy[way] || from === null) return;
  busy[way] = true;
  const mine = generation;
  try {
    const page = await ask(way === "older" ? { before: from } : { after: from });
    if (mine !== generation) return;
    keep(() => {
      if (way === "older") older = page.older;
      else newer = page.newer;
      merge([...page.lines.map(lineItem), ...page.losses.map(lossItem)]);
      trim(way === "older" ? "bottom" : "top");
    });
    problem.hidden = true;
  } catch (error) {
    if (mine === generation) failed(error, () => load(way));
    return;
  } finally {
    if (mine === generation) busy[way] = false;
  }
  say();
  look();
}

function look() {
  const rest = box.scrollHeight - box.scrollTop - box.clientHeight;
  const end = rest < AT_END_PX && newer === null;
  if (end !== following) {
    following = end;
    if (following) {
      unseen = 0;
      trim("top");
    }
    say();
  }
  if (box.scrollTop < NEAR_PX) load("older");
  if (rest < NEAR_PX) load("newer");
}

let frame = 0;
box.addEventListener(
  "scroll",
  () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      look();
    });
  },
  { passive: true },
);
new ResizeObserver(() => {
  if (following) box.scrollTop = box.scrollHeight;
}).observe(box);

async function reload({ at = asked.at } = {}) {
  generation += 1;
  const mine = generation;
  busy = { older: false, newer: false };
  window.history.replaceState(null, "", address());
  download();
  box.setAttribute("aria-busy", "true");
  try {
    const page = await ask({ around: at });
    if (mine !== generation) return;
    problem.hidden = true;
    lateText = "";
    fill(page, { at });
    look();
  } catch (error) {
    if (mine === generation) failed(error, () => reload({ at }));
  } finally {
    if (mine === generation) box.removeAttribute("aria-busy");
  }
}

function toLive() {
  if (asked.at) {
    asked.at = "";
    form.elements.at.value = "";
    const marker = items.findIndex((item) => item.kind === "at");
    if (marker >= 0) drop(items.splice(marker, 1)[0]);
    window.history.replaceState(null, "", address());
  }
  if (newer !== null) {
    reload({ at: "" });
    return;
  }
  following = true;
  unseen = 0;
  keep(() => trim("top"));
  say();
}

// -- live

function take(news) {
  last = Math.max(last, news.last);
  const attached = newer === null;
  const floor = older === null ? -Infinity : (items[0]?.time ?? -Infinity);
  const fresh = news.lines.filter((line) => !known.has(`l${line.id}`) && line.time >= floor);
  if (news.more && following) {
    reload({ at: "" });
    return;
  }
  const full = !following && attached && items.length + fresh.length > MOST;
  if (full) newer = cursor(lastLine() ?? items.at(-1));
  if (!following) unseen += fresh.length;
  const shown = attached && !full ? fresh : fresh.filter((line) => items.length && compare(lineItem(line), items.at(-1)) < 0 && items.length < MOST);
  const there = new Map(news.losses.map((loss) => [`x${loss.id}`, loss]));
  keep(() => {
    const late = merge(shown.map(lineItem));
    if (late) lateText = `${late.toLocaleString()} line${late === 1 ? "" : "s"} came late and stand${late === 1 ? "s" : ""} at ${late === 1 ? "its" : "their"} own time`;
    // losses shrink, and go, when their lines come after all
    const since = news.losses.length < LOSSES ? -Infinity : news.losses[0].time;
    const stale = items.filter((item) => item.kind === "loss" && item.time >= since && (there.get(item.key)?.first !== item.loss.first || there.get(item.key)?.last !== item.loss.last));
    for (const item of stale) {
      items.splice(items.indexOf(item), 1);
      drop(item);
    }
    const end = newer === null ? Infinity : (items.at(-1)?.time ?? Infinity);
    merge(news.losses.filter((loss) => loss.time <= end).map(lossItem));
    if (following) trim("top");
  });
  for (const line of shown) if (isLate(line)) flash(`l${line.id}`);
  say();
  if (news.more) poll();
}

function flash(key) {
  const node = items.find((item) => item.key === key)?.node;
  if (!node) return;
  node.classList.add("changed");
  setTimeout(() => node.classList.remove("changed"), 2000);
}

/** Looks for what came since; one look at a time, and not more often than LEAST_MS. */
async function poll() {
  if (polling) {
    pollAgain = true;
    return;
  }
  polling = true;
  const wait = polled + LEAST_MS - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  polled = performance.now();
  const mine = generation;
  try {
    const floor = older === null ? 0 : Math.max(items[0]?.time ?? 0, 0);
    const news = await ask({ since: last, floor });
    if (mine === generation) take(news);
  } catch {
    // the banner says that the connection is lost; when it is back, "resync" asks again
  }
  polling = false;
  if (pollAgain || mine !== generation) {
    pollAgain = false;
    poll();
  }
}

function heard(event) {
  if (ended()) return;
  const device = event.detail?.device;
  if (device && asked.device.length && !asked.device.includes(device)) return;
  poll();
}

document.addEventListener("fn:logs", heard);
document.addEventListener("fn:resync", heard);

// -- one line, opened

function line(name, value) {
  const holder = element("div");
  holder.append(element("dt", "", name), element("dd", "", value));
  return holder;
}

function button(text, action) {
  const made = element("button", "btn btn-quiet", text);
  made.type = "button";
  made.addEventListener("click", () => action(made));
  return made;
}

function anchor(text, href) {
  const made = element("a", "btn btn-quiet", text);
  made.href = href;
  return made;
}

async function copied(made, text) {
  const before = made.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", "visually-hidden");
    area.value = text; // no clipboard without HTTPS: the old way
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    made.focus();
  }
  made.textContent = "Copied";
  setTimeout(() => {
    made.textContent = before;
  }, 1600);
}

const deviceUrl = (endpoint, query) =>
  `${config.device_url.replace("ENDPOINT", endpoint.split("/").map(encodeURIComponent).join("/"))}?${new URLSearchParams(query)}`;

function linkOf(one) {
  const query = new URLSearchParams({ device: one.device, at: iso(one.time) });
  return `${window.location.origin}${config.logs_url}?${query}`;
}

function details(one) {
  const holder = element("li", "ln-details");
  const facts = element("dl", "facts");
  const [exact, ...rest] = whenText(one).split("\n");
  facts.append(line("Logged", exact));
  if (one.uptime !== null) facts.append(line("On the device", rest[0]));
  facts.append(line("Received", receivedText(one)));
  if (config.device === null) facts.append(line("Device", one.device));
  const buttons = element("div", "ln-buttons");
  const at = iso(one.time);
  buttons.append(
    anchor("Charts of this moment", deviceUrl(one.device, { tab: "charts", at })),
    anchor(narrowed() ? "All lines around it" : "Lines of this device around it", linkOf(one)),
    button("Copy line", async (made) => copied(made, asText({ ...one, text: await wholeText(one) }))),
    button("Copy link", (made) => copied(made, linkOf(one))),
  );
  if (config.device === null && !asked.device.includes(one.device)) {
    buttons.append(button(`Only ${one.device}`, () => choose({ device: [one.device] })));
  }
  if (one.module && !asked.module.includes(one.module)) {
    buttons.append(button(`Only module ${one.module}`, () => choose({ module: [one.module] })));
  }
  holder.append(facts, buttons);
  return holder;
}

async function wholeText(one) {
  if (!one.size) return one.text;
  const response = await fetch(config.line_url.replace("/0/", `/${one.id}/`));
  return response.ok ? (await response.json()).text : one.text;
}

function close() {
  if (!opened) return;
  opened.details.remove();
  opened.node.classList.remove("open");
  opened.node.querySelector(".ln-time").setAttribute("aria-expanded", "false");
  opened = null;
}

function toggle(item) {
  const again = opened === item;
  close();
  go(item);
  if (again) return;
  opened = item;
  // whoever reads one line does not want it to run away
  if (following) {
    following = false;
    say();
  }
  item.details = details(item.line);
  item.node.classList.add("open");
  item.node.querySelector(".ln-time").setAttribute("aria-expanded", "true");
  item.node.after(item.details);
  item.details.scrollIntoView({ block: "nearest" });
}

function go(item) {
  if (current && current !== item) {
    current.node.classList.remove("current");
    current.node.querySelector(".ln-time").tabIndex = -1;
  }
  current = item;
  if (!item) return;
  item.node.classList.add("current");
  const time = item.node.querySelector(".ln-time");
  time.tabIndex = 0;
  time.focus({ preventScroll: true });
  item.node.scrollIntoView({ block: "nearest" });
}

function step(by) {
  let place = current ? items.indexOf(current) : -1;
  if (place < 0) {
    const edge = box.getBoundingClientRect().bottom;
    place = items.findLastIndex((item) => item.kind === "line" && item.node.getBoundingClientRect().bottom <= edge + 1);
    if (place >= 0) go(items[place]);
    return;
  }
  for (place += by; place >= 0 && place < items.length; place += by) {
    if (items[place].kind !== "line") continue;
    go(items[place]);
    return;
  }
}

list.addEventListener("click", async (event) => {
  const more = event.target.closest(".ln-more");
  const item = event.target.closest(".ln")?.item;
  if (!item || item.kind !== "line") return;
  if (more) {
    const cell = more.parentElement;
    more.disabled = true;
    const text = await wholeText(item.line);
    keep(() => {
      cell.querySelectorAll(":scope > :not(.ln-why)").forEach((one) => one.remove());
      for (const node of [...cell.childNodes]) if (node.nodeType === Node.TEXT_NODE) node.remove();
      put(cell, text, asked.search);
    });
    return;
  }
  // the text is there to be selected: a click in it opens nothing
  if (event.target.closest(".ln-time, .ln-dev, .ln-sev, .ln-mod")) toggle(item);
});

// exact times are made when somebody points at them, not for two thousand rows
list.addEventListener("mouseover", (event) => {
  const time = event.target.closest(".ln .ln-time");
  const item = time?.closest(".ln").item;
  if (item && !time.title) time.title = whenText(item.line);
});

// -- filters

function choose(changes) {
  Object.assign(asked, changes);
  pickers.device?.set(asked.device);
  pickers.module.set(asked.module);
  changed();
}

function listen() {
  if (config.device !== null) return;
  const query = new URLSearchParams(asked.device.map((name) => ["device", name])).toString();
  document.body.dataset.live = query && query.length < 12_000 ? `/api/v1/live?${query}` : "/api/v1/live";
  document.dispatchEvent(new CustomEvent("fn:devices"));
}

function changed() {
  asked.search = form.elements.search.value;
  asked.severity = form.elements.severity.value;
  asked.device = pickers.device?.values ?? [];
  asked.module = pickers.module.values;
  const range = form.elements.range.value;
  const between = range === "between";
  asked.range = between ? "" : range;
  asked.from = between ? isoOf(form.elements.from) : "";
  asked.to = between ? isoOf(form.elements.to) : "";
  root.querySelector("[data-logs-between]").hidden = !between;
  listen();
  reload();
}

async function choices(what, text) {
  const query = new URLSearchParams({ what, search: text });
  if (what === "module") for (const name of config.device === null ? asked.device : [config.device]) query.append("device", name);
  const response = await fetch(`${config.choices_url}?${query}`, { headers: { "X-Requested-With": "XMLHttpRequest" } });
  return response.ok ? (await response.json()).choices : [];
}

function picker(name, tagClass) {
  const holder = root.querySelector(`[data-picker="${name}"]`);
  if (!holder) return undefined;
  return new Picker(holder, { fetchChoices: (text) => choices(name, text), changed, tagClass });
}

const pickers = { device: picker("device", (name) => `hue-${hue(name)}`), module: picker("module") };

let typing = 0;
form.elements.search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(changed, SEARCH_MS);
});
form.addEventListener("change", (event) => {
  if (["severity", "range", "from", "to"].includes(event.target.name)) changed();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  changed();
});
root.querySelector("[data-logs-jump]").addEventListener("click", () => {
  asked.at = isoOf(form.elements.at);
  root.querySelector(".logs-jump").open = false;
  reload();
});
form.elements.at.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  root.querySelector("[data-logs-jump]").click();
});
nothing.querySelector("button").addEventListener("click", () => {
  for (const name of ["search", "severity", "range", "from", "to"]) form.elements[name].value = "";
  pickers.device?.set([]);
  pickers.module.set([]);
  changed();
});
pill.addEventListener("click", () => {
  toLive();
  box.focus({ preventScroll: true });
});

// -- keys; "/" is the search of this page
document.addEventListener(
  "keydown",
  (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || root.hidden || document.querySelector("dialog[open]")) return;
    const field = event.target.closest("input, select, textarea, [contenteditable]");
    if (field) {
      if (event.key === "Escape" && field === form.elements.search && !field.value) field.blur();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      event.stopPropagation();
      form.elements.search.focus();
      form.elements.search.select();
    } else if (event.key === "j" || event.key === "k") {
      step(event.key === "j" ? 1 : -1);
    } else if (event.key === "End") {
      event.preventDefault();
      toLive();
    } else if (event.key === "Home" && older === null) {
      event.preventDefault();
      box.scrollTop = 0;
    } else if (event.key === "Escape" && (opened || current)) {
      if (opened) {
        close();
      } else {
        const time = current.node.querySelector(".ln-time");
        current.node.classList.remove("current");
        time.tabIndex = -1;
        time.blur();
        current = null;
      }
    }
  },
  true,
);

readAddress();
if (new URLSearchParams(window.location.search).has("q")) window.history.replaceState(null, "", address());
root.querySelector("[data-logs-between]").hidden = form.elements.range.value !== "between";
for (const name of config.unknown) {
  problem.hidden = false;
  problem.querySelector("[data-text]").textContent = `There is no device named “${name}”.`;
  problem.querySelector("button").hidden = true;
}
download();
fill(config.first, { at: asked.at });
look();
