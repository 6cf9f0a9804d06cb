// The upload of an image: a place to drop the file on, how far it is, and what the server says of it, in place.
// Without this script the form is an ordinary one.

import { sizeText, spanText, speedText } from "./sizes.js";

const form = document.querySelector("form[data-upload]");
const input = form?.querySelector("input[type=file]");
const zone = form?.querySelector("[data-drop]");
const chosen = form?.querySelector("[data-chosen-file]");
const progress = form?.querySelector("[data-upload-progress]");
const bar = progress?.querySelector("progress");
const words = progress?.querySelector("[data-upload-words]");
const answer = form?.querySelector("[data-upload-answer]");
const submit = form?.querySelector("button[type=submit]");
const limit = Number(form?.dataset.limit ?? 0);
let running = null;

function sayError(text) {
  const line = document.createElement("div");
  line.className = "notice bad";
  line.setAttribute("role", "alert");
  line.textContent = text;
  answer.replaceChildren(line);
}

/** What can be said of a file before it is sent; "" when nothing is wrong. */
function problem(file) {
  if (!file) return "Choose a file first.";
  if (!file.size) return `${file.name} is empty: choose the image that the build made, such as zephyr.signed.bin.`;
  if (limit && file.size > limit) {
    return `${file.name} has ${sizeText(file.size)}; images may have ${sizeText(limit)} at most (FLOWNEXUS_FIRMWARE_LIMIT_MIB).`;
  }
  return "";
}

function show() {
  const file = input.files[0];
  chosen.textContent = file ? `${file.name}, ${sizeText(file.size)}` : "";
  answer.replaceChildren();
  const wrong = file ? problem(file) : "";
  if (wrong) sayError(wrong);
}

function busy(is) {
  submit.disabled = is;
  input.disabled = is;
  progress.hidden = !is;
}

function told(event, began) {
  if (!event.lengthComputable) return;
  const seconds = (performance.now() - began) / 1000;
  const speed = seconds > 0.5 ? event.loaded / seconds : 0;
  bar.max = event.total;
  bar.value = event.loaded;
  const parts = [`${sizeText(event.loaded)} of ${sizeText(event.total)}`];
  if (event.loaded >= event.total) parts.push("being checked …");
  else if (speed) parts.push(speedText(speed), `about ${spanText((event.total - event.loaded) / speed)} left`);
  words.textContent = parts.join(" · ");
}

/** The server's answer: the image's page, to which it has led, or the sentence that says what is wrong. */
function ended(request) {
  running = null;
  busy(false);
  const where = new URL(request.responseURL || "/", window.location.href);
  if (where.pathname.startsWith("/accounts/login/")) {
    sayError("Your session has ended, so nothing was stored: sign in again (in another tab, say) and upload once more.");
    return;
  }
  if (request.status < 300 && where.pathname !== new URL(form.action).pathname) {
    window.location.assign(where);
    return;
  }
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const said = page.querySelector("[data-problem], main p, .panel p")?.textContent.trim();
  sayError(said || `The server answered ${request.status}: nothing was stored. Try again.`);
}

function send(event) {
  event.preventDefault();
  if (running) return;
  const wrong = problem(input.files[0]);
  if (wrong) {
    sayError(wrong);
    input.focus();
    return;
  }
  answer.replaceChildren();
  const body = new FormData(form); // before the input is switched off: it would be left out
  const request = new XMLHttpRequest();
  const began = performance.now();
  running = request;
  busy(true);
  request.upload.addEventListener("progress", (one) => told(one, began));
  request.addEventListener("load", () => ended(request));
  for (const name of ["error", "abort"]) {
    request.addEventListener(name, () => {
      running = null;
      busy(false);
      sayError(
        name === "abort"
          ? "The upload was cancelled: nothing was stored."
          : "The connection broke off in the middle: nothing was stored. Upload the file again.",
      );
    });
  }
  request.open("POST", form.action);
  request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
  request.setRequestHeader("X-CSRFToken", form.querySelector("[name=csrfmiddlewaretoken]").value);
  request.send(body);
}

if (form) {
  form.addEventListener("submit", send);
  input.addEventListener("change", show);
  progress.querySelector("[data-upload-cancel]").addEventListener("click", () => running?.abort());
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  zone.addEventListener("dragleave", (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("over");
  });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (running || !event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    show();
  });
  window.addEventListener("beforeunload", (event) => {
    if (running) event.preventDefault(); // the browser asks whether to leave
  });
}
