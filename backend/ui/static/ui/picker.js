// Several values chosen by typing: <div data-picker="NAME" data-label="…" data-placeholder="…"> becomes a combobox
// (ARIA APG, list autocomplete) with what is chosen as removable tags before it.

const DEBOUNCE_MS = 120;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Picker {
  /** `fetchChoices(text)` answers a promise of names; `changed()` is called when the reader has changed the choice. */
  constructor(root, { fetchChoices, changed, tagClass = () => "" }) {
    this.root = root;
    this.fetchChoices = fetchChoices;
    this.changed = changed;
    this.tagClass = tagClass;
    this.values = [];
    this.options = [];
    this.active = -1;
    this.timer = 0;
    this.asked = 0;
    this.input = root.querySelector("input");
    this.list = element("ul", "picker-list");
    this.list.id = `${this.input.id}-list`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", root.dataset.label);
    this.list.hidden = true;
    this.placeholder = this.input.placeholder;
    for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", this.list.id]]) {
      this.input.setAttribute(name, value);
    }
    root.append(this.list);
    this.input.addEventListener("input", () => this.ask(DEBOUNCE_MS));
    this.input.addEventListener("focus", () => this.ask(0));
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the input keeps the focus
      const option = event.target.closest("[role=option]");
      if (option) this.pick(option.dataset.value);
    });
    root.addEventListener("click", (event) => {
      const tag = event.target.closest("[data-remove]");
      if (tag) this.remove(tag.dataset.remove);
      else if (event.target === root) this.input.focus();
    });
  }

  /** What is chosen from now on; tells nobody. */
  set(values) {
    this.values = [...new Set(values)];
    for (const tag of this.root.querySelectorAll(".picker-tag")) tag.remove();
    for (const value of this.values) {
      const tag = element("span", `picker-tag ${this.tagClass(value)}`);
      const remove = element("button", "", "×");
      remove.type = "button";
      remove.dataset.remove = value;
      remove.setAttribute("aria-label", `Without ${value}`);
      tag.append(element("span", "picker-name", value), remove);
      this.input.before(tag);
    }
    this.input.placeholder = this.values.length ? "" : this.placeholder;
  }

  pick(value) {
    this.input.value = "";
    if (!this.values.includes(value)) {
      this.set([...this.values, value]);
      this.changed();
    }
    this.close();
  }

  remove(value) {
    this.set(this.values.filter((one) => one !== value));
    this.input.focus();
    this.changed();
  }

  ask(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      this.asked += 1;
      const mine = this.asked;
      let found = [];
      try {
        found = await this.fetchChoices(this.input.value.trim());
      } catch {
        // no suggestions then: the page says elsewhere that the server is gone
      }
      if (mine !== this.asked || document.activeElement !== this.input) return;
      this.show(found.filter((one) => !this.values.includes(one)));
    }, delay);
  }

  show(options) {
    this.options = options;
    this.active = this.input.value.trim() && options.length ? 0 : -1;
    const rows = options.map((value, index) => {
      const row = element("li", this.tagClass(value), value);
      row.id = `${this.list.id}-${index}`;
      row.setAttribute("role", "option");
      row.dataset.value = value;
      return row;
    });
    if (!rows.length) rows.push(element("li", "picker-none", this.input.value.trim() ? "Nothing like it." : "Nothing to choose."));
    if (!options.length) rows[0].setAttribute("role", "presentation");
    this.list.replaceChildren(...rows);
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  mark() {
    this.list.querySelectorAll("[role=option]").forEach((row, index) => {
      row.setAttribute("aria-selected", String(index === this.active));
      if (index === this.active) row.scrollIntoView({ block: "nearest" });
    });
    if (this.active < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.active}`);
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const open = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) {
        this.ask(0);
        return;
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      const number = this.options.length;
      if (number) this.active = (this.active + step + number) % number;
      this.mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (open && this.active >= 0) this.pick(this.options[this.active]);
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      this.close();
    } else if (event.key === "Backspace" && !this.input.value && this.values.length) {
      this.remove(this.values.at(-1));
    }
  }
}
