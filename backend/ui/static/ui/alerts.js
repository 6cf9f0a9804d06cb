// The list of alerts: what was chosen stays chosen when the list is brought up to date.

const list = document.querySelector("[data-alerts]");
const chosen = new Set();

function boxes() {
  return [...list.querySelectorAll("input[name=id][form=bulk]")];
}

function restore() {
  let first = null;
  for (const box of boxes()) {
    if (chosen.has(box.value) && !box.checked) {
      box.checked = true;
      first = box;
    }
  }
  // those that are gone are not chosen any more
  const there = new Set(boxes().map((box) => box.value));
  const gone = [...chosen].filter((id) => !there.has(id));
  for (const id of gone) chosen.delete(id);
  const any = first ?? (gone.length ? boxes()[0] : null);
  any?.dispatchEvent(new Event("change", { bubbles: true }));
}

if (list) {
  list.addEventListener("change", (event) => {
    const box = event.target.closest("input[name=id][form=bulk]");
    if (!box) return;
    if (box.checked) chosen.add(box.value);
    else chosen.delete(box.value);
  });
  new MutationObserver(restore).observe(list, { childList: true, subtree: true });
}
