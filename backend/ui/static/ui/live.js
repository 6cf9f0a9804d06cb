// One event stream per page. Events reach the page as "fn:values", "fn:firmware" and so on, on `document`;
// whenever the stream begins, "fn:resync" asks every part to fetch itself anew.

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15000;
const LOST_AFTER_MS = 2500; // a short hiccup is no news
const HIDDEN_MS = 20000; // browsers allow six connections per host: a page that nobody sees gives its own back

const WORDS = { live: "Live", lost: "Not live", waiting: "Connecting", idle: "Paused" };

let source = null;
let url = "";
let retry = FIRST_RETRY_MS;
let retryTimer = 0;
let lostTimer = 0;
let hiddenTimer = 0;

/** The stream that the page wants now: the innermost [data-live], for a list may have gone on to other devices. */
function wanted() {
  const elements = [...document.querySelectorAll("[data-live]")];
  return elements.map((element) => element.dataset.live).filter(Boolean).at(-1) ?? "";
}

function setState(state) {
  document.documentElement.dataset.connection = state;
  const dot = document.querySelector("[data-live-label]");
  if (dot && dot.textContent !== WORDS[state]) {
    dot.textContent = WORDS[state];
    dot.parentElement.hidden = false;
  }
  const banner = document.getElementById("lost-banner");
  if (banner) banner.hidden = state !== "lost";
}

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`fn:${name}`, { detail }));
}

function heard() {
  clearTimeout(lostTimer);
  lostTimer = 0;
  retry = FIRST_RETRY_MS;
  setState("live");
}

function missed() {
  if (!lostTimer) lostTimer = setTimeout(() => setState("lost"), LOST_AFTER_MS);
}

function close() {
  source?.close();
  source = null;
  clearTimeout(retryTimer);
}

function opened() {
  heard();
  tell("resync", {}); // what happened before, since the page was made, was not heard
}

function lost() {
  close();
  missed();
  retryTimer = setTimeout(open, retry);
  retry = Math.min(retry * 2, LONGEST_RETRY_MS);
}

function read(event) {
  let detail = {};
  try {
    detail = JSON.parse(event.data || "{}");
  } catch {
    // an event is only a hint to look again: its name is enough
  }
  tell(event.type, detail);
}

function open() {
  url = wanted();
  if (source || document.hidden || !url) return;
  source = new EventSource(url);
  source.addEventListener("hello", opened);
  for (const name of ["values", "status", "commands", "firmware", "logs", "alerts", "server", "resync"]) source.addEventListener(name, read);
  source.addEventListener("error", lost);
}

function visibility() {
  clearTimeout(hiddenTimer);
  if (!document.hidden) {
    open();
    return;
  }
  hiddenTimer = setTimeout(() => {
    if (!url) return;
    close();
    clearTimeout(lostTimer);
    lostTimer = 0;
    setState("idle");
  }, HIDDEN_MS);
}

/** Opens the page's stream, where the page has one. */
export function startLive() {
  if (wanted()) setState("waiting");
  open();
  document.addEventListener("visibilitychange", visibility);
  // parts fetch every few seconds: that tells of a server that is gone also where the stream does not
  document.addEventListener("fn:unreachable", () => {
    missed();
    if (source?.readyState === EventSource.OPEN) lost();
  });
  document.addEventListener("fn:reachable", () => {
    if (source?.readyState === EventSource.OPEN) return;
    if (!url) heard();
  });
  document.addEventListener("htmx:afterSwap", () => {
    // a form's answer brings a header that does not know the state yet
    const state = document.documentElement.dataset.connection;
    if (state) setState(state);
    if (wanted() === url) return;
    close();
    open();
  });
  // a chart may have got another device
  document.addEventListener("fn:devices", () => {
    if (wanted() === url) return;
    close();
    open();
  });
  window.addEventListener("online", () => {
    retry = FIRST_RETRY_MS;
    clearTimeout(retryTimer);
    open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) open(); // back from the browser's page cache: the stream is gone
  });
}
