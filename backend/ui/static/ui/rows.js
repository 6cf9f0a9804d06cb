// Forms with as many rows as one likes: [data-formrows="prefix"] tables with a <template data-formrow-template> in the form.
// Without script there is one empty row and a box to tick for removal; that works too.

for (const table of document.querySelectorAll("[data-formrows]")) {
  const form = table.closest("form");
  const body = table.querySelector("tbody");
  const total = form.querySelector(`[name="${table.dataset.formrows}-TOTAL_FORMS"]`);
  const template = form.querySelector("[data-formrow-template]");
  const add = form.querySelector("[data-formrow-add]");

  function removable(row) {
    const box = row.querySelector("input[type=checkbox][name$='-DELETE']");
    if (!box) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-quiet-bad";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove row ${[...body.children].indexOf(row) + 1}`);
    button.addEventListener("click", () => {
      box.checked = true;
      row.hidden = true;
      (add ?? form).focus();
    });
    box.hidden = true;
    box.after(button);
  }

  add.hidden = false;
  add.addEventListener("click", () => {
    const holder = document.createElement("tbody");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", total.value);
    const row = holder.querySelector("tr");
    body.append(row);
    total.value = String(Number(total.value) + 1);
    removable(row);
    window.htmx?.process(row);
    row.querySelector("input[type=text]")?.focus();
  });
  for (const row of body.children) removable(row);
}
