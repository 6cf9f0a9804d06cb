// The CoAP messages of one device as they pass: a table that is bounded, filtered, paused and saved in the browser.
// <section data-trace="ADDRESS OF THE STREAM" data-device="ENDPOINT">; markup in device_trace.html.

const MOST_ROWS = 2000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15000;
const SHORT_PAYLOAD = 90;
const AT_END_PX = 24;

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const ARROWS = { in: "→ server", out: "← server" };

const root = document.querySelector("[data-trace]");
const log = root.querySelector("[data-trace-log]");
const body = root.querySelector("tbody");
const state = root.querySelector("[data-trace-state]");
const empty = root.querySelector("[data-trace-empty]");
const pauseButton = root.querySelector("[data-trace-pause]");
const form = root.querySelector("form");

let entries = []; // all that is kept, oldest first; also what is filtered out
let waiting = []; // came while paused
let dropped = 0;
let arrived = []; // until the next frame
let paused = false;
let source = null;
let retry = FIRST_RETRY_MS;
let retryTimer = 0;
let lostWhy = "";

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// -- what a message is

function codeClass(code) {
  if (/^[1-9]/.test(code)) return code[0];
  return !code || code === "EMPTY" || code === "0.00" ? "empty" : "request";
}

/** The payload as somebody can read it, and its size where that is known. */
function payloadOf(message) {
  const raw = message.payload ?? "";
  return { shown: message.decoded || raw, raw, hex: message.payloadHex ?? (raw.startsWith("0x") ? raw.slice(2) : "") };
}

function sizeOf(message, payload) {
  if (payload.hex) return Math.ceil(payload.hex.replace(/[^0-9a-f]/gi, "").length / 2);
  return new TextEncoder().encode(payload.raw).length;
}

function entryOf(message) {
  const payload = payloadOf(message);
  const direction = message.incoming ? "in" : "out";
  const words = [message.type, message.code, message.token, message.mId, message.uri, message.options, message.format];
  return {
    message, payload, direction,
    at: Number(message.timestamp),
    codeClass: codeClass(String(message.code ?? "")),
    text: [...words, payload.shown, payload.raw].filter((word) => word !== undefined).join(" ").toLowerCase(),
    row: null,
  };
}

/** A line of ours among the messages: the stream was lost, or is back. */
function noteOf(text) {
  return { note: text, at: Date.now(), row: null };
}

function wanted(entry) {
  if (entry.note) return true;
  const text = form.elements.text.value.trim().toLowerCase();
  const direction = form.elements.direction.value;
  const code = form.elements.code.value;
  return (
    (!text || text.split(/\s+/).every((word) => entry.text.includes(word))) &&
    (!direction || entry.direction === direction) &&
    (!code || entry.codeClass === code)
  );
}

// -- rows

function spaced(hex) {
  return (hex.replace(/[^0-9a-f]/gi, "").match(/../g) ?? []).join(" ");
}

function payloadCell(entry) {
  const cell = element("td", "tr-payload");
  const { message, payload } = entry;
  if (!payload.shown && !payload.hex) return cell;
  const size = `${sizeOf(message, payload)} B${message.format ? ` ${message.format}` : ""}`;
  const line = payload.shown.replace(/\s+/g, " ");
  const details = element("details");
  const summary = element("summary");
  summary.append(
    element("span", "mono", line.length > SHORT_PAYLOAD ? `${line.slice(0, SHORT_PAYLOAD)}…` : line),
    element("span", "muted nowrap", ` ${size}`),
  );
  details.append(summary);
  // two thousand of them: what is folded away is made when it is opened
  details.addEventListener(
    "toggle",
    () => {
      const whole = element("pre", "dump", payload.shown);
      whole.tabIndex = 0;
      details.append(whole);
      if (!payload.hex) return;
      const button = element("button", "btn btn-quiet", "Hex");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        const hex = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(hex));
        whole.textContent = hex ? spaced(payload.hex) : payload.shown;
      });
      details.append(button);
    },
    { once: true },
  );
  cell.append(details);
  return cell;
}

function rowOf(entry) {
  const row = element("tr");
  if (entry.note) {
    const cell = element("td", "tr-note", `${TIME.format(entry.at)}  ${entry.note}`);
    cell.colSpan = 9;
    row.append(cell);
    return row;
  }
  const { message } = entry;
  row.className = `tr-${entry.direction} tr-class-${entry.codeClass}`;
  const time = element("td", "tr-time num nowrap", TIME.format(entry.at));
  time.title = new Date(entry.at).toISOString();
  const options = element("td", "tr-options mono", message.options && message.options !== "{}" ? message.options : "");
  const cells = [
    time,
    element("td", "tr-direction nowrap", ARROWS[entry.direction]),
    element("td", "tr-type", message.type ?? ""),
    element("td", "tr-code nowrap", message.code || "(empty)"),
    element("td", "tr-token mono", message.token ?? ""),
    element("td", "tr-mid num", message.mId ?? ""),
    element("td", "tr-uri mono", message.uri ?? ""),
    options,
    payloadCell(entry),
  ];
  row.append(...cells);
  return row;
}

function countShown() {
  const messages = entries.filter((entry) => !entry.note);
  const shown = messages.filter((entry) => !entry.row.hidden).length;
  const parts = [`${messages.length} message${messages.length === 1 ? "" : "s"}`];
  if (shown !== messages.length) parts.push(`${shown} shown`);
  if (dropped) parts.push(`the oldest ${dropped} dropped`);
  if (paused) parts.push(`${waiting.length} wait${waiting.length === 1 ? "s" : ""}`);
  root.querySelector("[data-trace-count]").textContent = parts.join(", ");
  empty.hidden = messages.length > 0;
}

function show(fresh) {
  const follow = log.scrollHeight - log.scrollTop - log.clientHeight < AT_END_PX;
  const fragment = document.createDocumentFragment();
  for (const entry of fresh) {
    entry.row = rowOf(entry);
    entry.row.hidden = !wanted(entry);
    fragment.append(entry.row);
  }
  body.append(fragment);
  entries = entries.concat(fresh);
  const over = entries.length - MOST_ROWS;
  if (over > 0) {
    for (const old of entries.splice(0, over)) {
      old.row.remove();
      if (!old.note) dropped += 1;
    }
  }
  countShown();
  // whoever reads further up is left there
  if (follow) log.scrollTop = log.scrollHeight;
}

function flush() {
  const fresh = arrived;
  arrived = [];
  if (paused) {
    waiting = waiting.concat(fresh);
    const over = waiting.length - MOST_ROWS;
    if (over > 0) {
      waiting.splice(0, over);
      dropped += over;
    }
    countShown();
  } else if (fresh.length) {
    show(fresh);
  }
}

function arrive(entry) {
  if (!arrived.length) setTimeout(flush, 50); // not a frame: hidden pages have none
  arrived.push(entry);
}

// -- the stream

function say(word, text) {
  state.dataset.state = word;
  state.textContent = text;
}

function lost(why) {
  source?.close();
  source = null;
  if (why !== lostWhy) {
    lostWhy = why;
    arrive(noteOf(`Stream lost: ${why} Messages from here on are not seen until it is back.`));
  }
  say("lost", `Lost: ${why} Trying again …`);
  clearTimeout(retryTimer);
  retryTimer = setTimeout(open, retry);
  retry = Math.min(retry * 2, LONGEST_RETRY_MS);
}

function read(event) {
  let message;
  try {
    message = JSON.parse(event.data);
  } catch {
    arrive(noteOf("A message could not be read."));
    return;
  }
  arrive(entryOf(message));
}

function open() {
  if (source) return;
  source = new EventSource(root.dataset.trace);
  source.addEventListener("hello", () => {
    retry = FIRST_RETRY_MS;
    if (lostWhy) arrive(noteOf("The stream is back."));
    lostWhy = "";
    say("live", "Live");
  });
  source.addEventListener("COAPLOG", read);
  source.addEventListener("lost", (event) => {
    let why = "";
    try {
      why = JSON.parse(event.data).reason;
    } catch {
      // said below
    }
    lost(why || "Leshan has ended it.");
  });
  source.addEventListener("error", () => lost("the connection to the server broke, or your session has ended."));
}

// -- buttons

function pause(now) {
  paused = now;
  pauseButton.setAttribute("aria-pressed", String(paused));
  pauseButton.textContent = paused ? "Resume" : "Pause";
  if (!paused) {
    const fresh = waiting;
    waiting = [];
    show(fresh);
  }
  countShown();
}

function filter() {
  for (const entry of entries) entry.row.hidden = !wanted(entry);
  countShown();
  log.scrollTop = log.scrollHeight;
}

function clear() {
  for (const entry of entries) entry.row.remove();
  entries = [];
  waiting = [];
  dropped = 0;
  countShown();
}

function line(entry) {
  const at = new Date(entry.at).toISOString();
  if (entry.note) return `${at}  ---  ${entry.note}`;
  const { message, payload } = entry;
  const head = [
    at, entry.direction === "in" ? "device -> server" : "server -> device", message.type, message.code || "(empty)",
    `token=${message.token ?? ""}`, `mid=${message.mId ?? ""}`, message.uri ?? "", message.options ?? "",
  ];
  const lines = [head.filter(Boolean).join("  ")];
  if (payload.shown || payload.hex) {
    lines.push(`    payload ${sizeOf(message, payload)} B ${message.format ?? ""}`.trimEnd());
    for (const part of payload.shown.split("\n")) lines.push(`    ${part}`);
    if (payload.hex && payload.shown !== payload.raw) lines.push(`    hex ${payload.hex}`);
  }
  return lines.join("\n");
}

function download() {
  const shown = entries.filter((entry) => !entry.row.hidden);
  const head = `CoAP trace of ${root.dataset.device}, ${new Date().toISOString()}, ${shown.length} lines\n\n`;
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([head, shown.map(line).join("\n"), "\n"], { type: "text/plain" }));
  const stamp = new Date().toISOString().slice(0, 19).replace(/:/g, "-");
  link.download = `coap-${root.dataset.device.replace(/[^\w.-]+/g, "_")}-${stamp}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

pauseButton.addEventListener("click", () => pause(!paused));
root.querySelector("[data-trace-clear]").addEventListener("click", clear);
root.querySelector("[data-trace-download]").addEventListener("click", download);
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("pagehide", () => source?.close());
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  source = null;
  open();
});
countShown();
open();
