// Every page: ticking times, the live stream, parts that refresh, keys, copy buttons, dialogs, menus.

import { startLive } from "./live.js";
import { startRefreshing } from "./refresh.js";
import { startTicking, tick } from "./time.js";

startTicking();
startRefreshing();
startLive();

document.addEventListener("htmx:afterSwap", (event) => tick(event.target));

// -- keys: "/" goes to the search box, Escape leaves menus and the search box
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.getElementById("search");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
  if (event.key === "Escape") {
    if (event.target.id === "search") event.target.blur();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }

  const copy = event.target.closest("[data-copy]");
  if (copy) copyText(copy);

  // a click on a status says what it means; without script the link leads to a page with the same text
  const status = event.target.closest("a[data-legend]");
  if (status && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    showLegend(status);
  }

  const close = event.target.closest("dialog [data-close]");
  if (close) close.closest("dialog").close();
  if (event.target instanceof HTMLDialogElement) event.target.close(); // the backdrop
});

async function copyText(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // no clipboard without HTTPS: the old way
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.querySelector("[data-copy-label]");
  if (!label) return;
  label.textContent = "Copied";
  setTimeout(() => {
    label.textContent = "Copy";
  }, 1600);
}

async function showLegend(link) {
  const dialog = document.getElementById("legend");
  const body = dialog.querySelector("[data-legend-body]");
  if (!body.childElementCount) {
    let response = null;
    try {
      response = await fetch(link.href, { headers: { "X-Requested-With": "XMLHttpRequest" } });
    } catch {
      // answered below
    }
    if (!response?.ok) {
      window.location.assign(link.href);
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    body.replaceChildren(...page.querySelector("[data-legend-body]").childNodes);
    // ids belong to the page of its own
    for (const entry of body.querySelectorAll("[id]")) {
      entry.dataset.entry = entry.id;
      entry.removeAttribute("id");
    }
  }
  for (const entry of body.querySelectorAll("[data-entry]")) {
    entry.classList.toggle("here", entry.dataset.entry === link.dataset.legend);
  }
  dialog.showModal();
  body.querySelector(".here")?.scrollIntoView({ block: "nearest" });
}

// -- confirmations name what will happen
const confirmed = new WeakSet();

/** Asks for what was confirmed; where its form was drawn anew meanwhile, by the one in its place. */
function proceed(event, question) {
  const asked = event.target;
  if (asked.isConnected) {
    event.detail.issueRequest(true);
    return;
  }
  const same = (form) => form.action === asked.action && form.dataset.confirm === question;
  const next = [...document.querySelectorAll("form[data-confirm]")].find(same);
  if (!next) return;
  confirmed.add(next);
  next.requestSubmit();
}

document.addEventListener("htmx:confirm", (event) => {
  const question = event.target.closest?.("[data-confirm]")?.dataset.confirm;
  if (!question || confirmed.delete(event.target)) return;
  event.preventDefault();
  const dialog = document.getElementById("confirm");
  dialog.querySelector("[data-confirm-text]").textContent = question;
  dialog.returnValue = "";
  dialog.addEventListener(
    "close",
    () => {
      if (dialog.returnValue === "yes") proceed(event, question);
    },
    { once: true },
  );
  dialog.showModal();
});

// -- a filter that is empty does not belong in the address
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  for (const [name, value] of [...event.detail.formData.entries()]) {
    if (value === "") event.detail.formData.delete(name);
  }
});

// -- what was asked for and did not come: never a bare nothing
function sayError(text) {
  const banner = document.getElementById("error-banner");
  if (!banner) return;
  banner.querySelector("[data-error-text]").textContent = text;
  banner.hidden = false;
}

document.addEventListener("htmx:beforeRequest", () => {
  const banner = document.getElementById("error-banner");
  if (banner) banner.hidden = true;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (!new URL(xhr.responseURL || "/", window.location.href).pathname.startsWith("/accounts/login/")) return;
  // the session has ended: the answer is the login page, and no part of this one
  event.detail.shouldSwap = false;
  const here = window.location.pathname + window.location.search;
  window.location.assign(`/accounts/login/?next=${encodeURIComponent(here)}`);
});

document.addEventListener("htmx:responseError", (event) => {
  const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
  const said = page.querySelector("main p, main .panel p")?.textContent.trim();
  sayError(said || `The server answered ${event.detail.xhr.status}: load the page again and try once more.`);
});

document.addEventListener("htmx:sendError", () => {
  sayError("The server cannot be reached, so nothing was changed. Try again when it is back.");
});
