// All charts of a page: one window in time, one way to read data, one moment that is pointed at.
// A window either slides along with now (a range) or stands still (from, to).

import { ANSWER_SERIES, fetchEvents, fetchSeries } from "./chart-data.js";
import { Panel } from "./chart-panel.js";
import { LONGEST, SHORTEST } from "./chart-time.js";
import { serverNow } from "./time.js";

const PAUSE_MS = 140; // between the last move and the question for finer data
const SETTLE_MS = 450; // wheel and keys: then the move is one step of the history
const TAIL_MS = 500;
const OVERLAP_MS = 30000; // what came late is looked for so far back at every new value …
const WHOLE_MS = 60000; // … and in the whole window now and then
const LEAST_MS = 5000;
const JUST_MS = 1500;
const SLIDE_MS = 1000;
const SMALL_POINTS = 400;
const AXIS = 46;

export class Board {
  constructor(root, { onState = () => {}, picking = false } = {}) {
    Object.assign(this, {
      root, onState, picking, panels: [], range: 3600e3, fixed: null, at: null, frozen: null, holder: null,
      dirty: new Set(), checked: 0, loadedAt: 0, generation: 0, abort: null, events: [], eventsProblem: "", widths: { left: AXIS, right: 0 },
    });
    this.icons = root.dataset.icons ?? "";
    this.maxSeries = Number(root.dataset.maxSeries) || ANSWER_SERIES;
    this.watcher = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "300px" });
    document.addEventListener("fn:values", (event) => this.heard(event.detail.device));
    // right after the page has read everything, the stream begins: that is no reason to read it twice at once
    document.addEventListener("fn:resync", () => (performance.now() - this.loadedAt < JUST_MS ? this.soon() : this.load()));
    for (const name of ["server", "status", "commands", "firmware", "alerts"]) document.addEventListener(`fn:${name}`, () => this.soon());
    document.addEventListener("fn:theme", () => this.panels.forEach((panel) => panel.repaint()));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.load();
    });
    document.addEventListener("pointerdown", (event) => {
      for (const panel of this.panels) if (!panel.menu.contains(event.target)) panel.closeMenu();
    });
    setInterval(() => this.beat(), SLIDE_MS);
  }

  add(root, options) {
    const panel = new Panel(root, this, options);
    panel.wanted = !options?.small;
    this.panels.push(panel);
    if (options?.small) {
      panel.root.$panel = panel;
      this.watcher.observe(root);
    }
    return panel;
  }

  remove(panel) {
    panel.chart.destroy();
    panel.root.remove();
    this.panels = this.panels.filter((one) => one !== panel);
  }

  seen(entries) {
    let fresh = false;
    for (const { target, isIntersecting } of entries) {
      const panel = target.$panel;
      fresh ||= isIntersecting && !panel.wanted;
      panel.wanted = isIntersecting || panel.wanted;
    }
    if (fresh && this.started) this.schedule();
  }

  // ---- time

  get live() {
    return this.fixed === null;
  }

  window() {
    if (this.fixed) return this.fixed;
    if (this.frozen) return this.frozen;
    const end = serverNow();
    return [end - this.range, end];
  }

  /** A sliding range (ms), or a window that stands still; without a step of the history. */
  setTime({ range = null, fixed = null, at = null }) {
    this.frozen = null;
    this.at = at;
    if (range !== null) this.range = range;
    this.fixed = fixed;
    this.slideAll();
  }

  /** Shows another window at once, and asks for its data when the moving is over. */
  moveTo(from, to, { live }) {
    const length = Math.min(LONGEST, Math.max(SHORTEST, to - from));
    const now = serverNow();
    let start = (from + to) / 2 - length / 2;
    let end = start + length;
    if (live && end >= now - length / 200) {
      this.fixed = null;
      this.frozen = null;
      this.range = length;
    } else {
      if (end > now + length) [start, end] = [now, now + length];
      this.fixed = [start, end];
      this.range = length;
    }
    this.slideAll();
    this.schedule();
  }

  pan(share) {
    const [start, end] = this.window();
    const by = (end - start) * share;
    this.moveTo(start + by, end + by, { live: true });
    this.settleSoon();
  }

  zoom(factor, share) {
    const [start, end] = this.window();
    const length = Math.min(LONGEST, Math.max(SHORTEST, (end - start) * factor));
    const held = this.live && share > 0.85 ? 1 : share;
    const from = start + (end - start) * held - length * held;
    const now = serverNow();
    // zooming out does not lead into the future
    if (from + length > now) this.moveTo(now - length, now, { live: true });
    else this.moveTo(from, from + length, { live: this.live && held === 1 });
    this.settleSoon();
  }

  goLive() {
    if (this.live) return;
    this.fixed = null;
    this.frozen = null;
    this.slideAll();
    this.load();
    this.changed({ push: true });
  }

  stop() {
    if (!this.live) return;
    this.fixed = this.window();
    this.slideAll();
    this.changed({ push: true });
  }

  mark(time) {
    this.at = time;
    this.slideAll();
    this.changed({ push: true });
  }

  /** The move is over: it is a step of the history, which "back" undoes. */
  settle() {
    clearTimeout(this.settling);
    this.settling = 0;
    this.changed({ push: true });
  }

  settleSoon() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), SETTLE_MS);
  }

  changed({ push }) {
    this.onState({ push });
  }

  /** Somebody points at something: it does not slide away. */
  hold(panel) {
    this.holder = panel;
    if (!this.live || this.frozen) return;
    this.frozen = this.window();
    this.onState({ push: null });
  }

  release(panel) {
    if (this.holder !== panel || !panel.menu.hidden) return;
    this.holder = null;
    if (!this.frozen) return;
    this.frozen = null;
    this.slideAll();
    this.onState({ push: null });
  }

  point(panel, time) {
    for (const one of this.panels) one.point(time, one === panel);
  }

  slideAll() {
    for (const panel of this.panels) panel.slide();
    this.onState({ push: null });
  }

  beat() {
    if (document.hidden || !this.started) return;
    const [start, end] = this.window();
    const step = Math.max(SLIDE_MS, (end - start) / 1500);
    if (this.live && !this.frozen && performance.now() - (this.slidAt ?? 0) >= step - 50) {
      this.slidAt = performance.now();
      this.slideAll();
    }
    if (performance.now() - this.loadedAt > WHOLE_MS && this.live) this.load();
  }

  // ---- axes below each other

  axisWidth(side, wanted) {
    if (wanted > this.widths[side] + 0.5) {
      this.widths[side] = Math.ceil(wanted);
      clearTimeout(this.aligning);
      this.aligning = setTimeout(() => this.panels.forEach((panel) => panel.slide()), 0);
    }
    return this.widths[side];
  }

  rightRoom() {
    const any = this.panels.some((panel) => panel.units.length > 1);
    return any ? Math.max(0, this.widths.right - 10) : 0;
  }

  // ---- data

  schedule() {
    clearTimeout(this.scheduled);
    this.scheduled = setTimeout(() => this.load(), PAUSE_MS);
  }

  soon() {
    if (this.soonTimer || !this.started) return;
    const wait = Math.max(500, this.loadedAt + LEAST_MS - performance.now());
    this.soonTimer = setTimeout(() => {
      this.soonTimer = 0;
      this.load();
    }, wait);
  }

  groups(panels) {
    const large = panels.filter((panel) => !panel.small && panel.ids.length);
    const groups = large.map((panel) => ({
      panels: [panel], ids: panel.ids, points: Math.round(Math.min(2000, Math.max(200, panel.chart.chartArea?.width || 1000))),
    }));
    const small = panels.filter((panel) => panel.small && panel.wanted && panel.ids.length);
    for (let i = 0; i < small.length; i += ANSWER_SERIES) {
      const some = small.slice(i, i + ANSWER_SERIES);
      groups.push({ panels: some, ids: some.flatMap((panel) => panel.ids), points: SMALL_POINTS });
    }
    return groups;
  }

  /** Everything of the window anew. What is drawn stays until the answer is there. */
  async load() {
    clearTimeout(this.scheduled);
    this.started = true;
    const generation = ++this.generation;
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    const [start, end] = this.window();
    this.loadedAt = performance.now();
    this.dirty.clear();
    this.root.setAttribute("aria-busy", "true");
    const asked = serverNow();
    const one = async ({ panels, ids, points }) => {
      try {
        const answers = await fetchSeries({ ids, start, end: this.live ? Math.max(end, asked) + 1000 : end, points, signal });
        if (generation === this.generation) for (const panel of panels) panel.receive(answers);
      } catch (error) {
        if (error.name !== "AbortError" && generation === this.generation) for (const panel of panels) panel.failed(error.message);
      }
    };
    for (const panel of this.panels) {
      if (panel.ids.length) continue;
      panel.loaded = true;
      panel.refresh();
    }
    await Promise.all([...this.groups(this.panels).map(one), this.loadEvents(start, end, signal, generation)]);
    if (generation !== this.generation) return;
    this.checked = asked;
    this.shown = { start, end, live: this.live };
    this.root.removeAttribute("aria-busy");
    this.onState({ push: null });
    this.root.dataset.loads = String(Number(this.root.dataset.loads ?? 0) + 1);
    if (this.dirty.size) this.tailSoon();
  }

  async loadEvents(start, end, signal, generation) {
    const large = this.panels.filter((panel) => !panel.small);
    const devices = [...new Set(large.flatMap((panel) => panel.series.filter((one) => one.id !== null).map((one) => one.device)))];
    if (!devices.length) return;
    let events = [];
    let problem = "";
    try {
      events = await fetchEvents({ devices, start, end, signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      problem = error.message;
    }
    if (generation !== this.generation) return;
    this.eventsProblem = problem;
    for (const panel of large) {
      const own = new Set(panel.devices);
      panel.events = events.filter((event) => !event.device || own.has(event.device));
      panel.refresh();
    }
  }

  // ---- new values

  heard(device) {
    if (!this.started) return;
    if (this.panels.some((panel) => panel.series.some((one) => one.id === null && (!device || one.device === device)))) this.onState({ push: null, missing: true });
    const shown = this.panels.some((panel) => panel.wanted && panel.devices.includes(device));
    if (device && !shown) return;
    const [, end] = this.window();
    if (!this.live && end < serverNow()) return;
    this.dirty.add(device ?? "");
    if (!document.hidden) this.tailSoon();
  }

  tailSoon() {
    if (this.tailing) return;
    this.tailing = setTimeout(async () => {
      try {
        await this.tail();
      } catch {
        // the banner tells of a lost connection; the next value tries again
      }
      this.tailing = 0;
      if (this.dirty.size) this.tailSoon();
    }, TAIL_MS);
  }

  /** Only what came since the last look, with a little overlap for what came late. */
  async tail() {
    const generation = this.generation;
    const dirty = new Set(this.dirty);
    this.dirty.clear();
    const asked = serverNow();
    const all = dirty.has("");
    const panels = this.panels.filter((panel) => panel.wanted && panel.loaded && panel.series.some((one) => one.id !== null && (all || dirty.has(one.device))));
    if (!panels.length) return;
    const series = panels.flatMap((panel) => panel.series.filter((one) => one.id !== null && one.drawn && (all || dirty.has(one.device))));
    const unread = panels.some((panel) => panel.series.some((one) => one.id !== null && !one.drawn));
    const since = new Map(series.map((one) => [one, this.sinceOf(one.drawn)]));
    const start = Math.min(...since.values());
    const [windowStart] = this.window();
    if (unread || start < windowStart || series.length > ANSWER_SERIES) {
      this.soon();
      return;
    }
    const ids = [...new Set(series.map((one) => one.id))];
    const answers = await fetchSeries({ ids, start, end: asked + 1000, points: 2000, signal: this.abort?.signal });
    if (generation !== this.generation) return;
    this.tails = (this.tails ?? 0) + 1;
    this.root.dataset.tails = String(this.tails);
    let [whole, fresh] = [false, false];
    for (const [one, from] of since) {
      const answer = answers.get(one.id);
      if (!answer) continue;
      const before = [one.drawn.t.at(-1), one.drawn.count.at(-1)];
      if (!one.drawn.append(answer, from)) whole = true;
      fresh ||= before[0] !== one.drawn.t.at(-1) || before[1] !== one.drawn.count.at(-1);
      one.drawn.trim(windowStart);
    }
    this.checked = asked;
    for (const panel of panels) panel.refresh();
    this.onState({ push: null });
    if (whole || !fresh) this.soon(); // what came may lie farther back: all of it is read again
  }

  /** From where on a series is read again: a bucket's begin where it is in buckets. */
  sinceOf(drawn) {
    const since = this.checked - OVERLAP_MS;
    if (!drawn.aggregated) return since;
    const width = drawn.width || 60000;
    const origin = drawn.t.length ? drawn.t.at(-1) : 0;
    return origin + Math.floor((since - origin) / width) * width;
  }
}
