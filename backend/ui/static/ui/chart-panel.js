// One chart with its legend, reasons, hover text, menu of a moment and table. The board above it decides about time.

import { Drawn, REASONS, reasonTotals } from "./chart-data.js";
import { COLOURS, colourOf, colours, gapLayers, glyph, newChart, paint, patternOf } from "./chart-draw.js";
import { sayElsewhere } from "./chart-elsewhere.js";
import { listen } from "./chart-moves.js";
import { exactTime, lasting, timeBeside } from "./chart-time.js";
import { dated } from "./time.js";

const REACH = 40; // pixels: what is farther away from the pointer is not meant
const ROWS = 500;
// in the text beside the pointer: series at most, and up to how many with smallest and largest
const LISTED = 12;
const BRIEF = 6;
const GROUPS = { registration: "registrations", command: "commands", firmware: "firmware", clock: "clock", alert: "alerts" };
const LEVELS = { minute: "by minute", hour: "by hour", day: "by day" };

const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const whole = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 17 });

/** A number as people read it; very large and very small ones by their exponent. */
export function valueText(value, format = short) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e12 || size < 1e-5)) return value.toExponential(format === short ? 4 : undefined).replace(/\.?0+e/, "e");
  return format.format(value);
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export class Panel {
  constructor(root, board, { small = false } = {}) {
    Object.assign(this, { root, board, small, series: [], events: [], eventClusters: [], marks: [], cursor: null, wanted: true, controller: null });
    const find = (name) => root.querySelector(`[data-${name}]`);
    this.plot = find("plot");
    this.over = find("over");
    this.say = find("say");
    this.problem = find("problem");
    this.read = find("read");
    this.legend = find("legend");
    this.reasons = find("reasons");
    this.level = find("level");
    this.table = find("table");
    this.title = find("title") ?? find("title-text");
    this.tip = element("div", { className: "plot-tip", hidden: true });
    this.tip.setAttribute("aria-hidden", "true");
    this.menu = element("div", { className: "plot-menu", hidden: true });
    this.menu.setAttribute("role", "dialog");
    this.menu.setAttribute("aria-label", "What was at this moment");
    this.plot.append(this.tip, this.menu);
    this.chart = newChart(find("canvas"), this);
    this.readSeries();
    listen(this.plot, this);
    this.legend?.addEventListener("click", (event) => this.legendClicked(event));
    this.table?.addEventListener("toggle", () => this.fillTable());
    this.menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.closeMenu(true);
    });
    root.addEventListener("click", (event) => {
      const act = event.target.closest("[data-act]")?.dataset.act;
      // fetched when it is wanted: few want it
      if (act === "png" || act === "csv") import("./chart-files.js").then(({ saveCsv, savePicture }) => (act === "png" ? savePicture : saveCsv)(this));
      if (act) root.querySelector("[data-menu]").open = false;
    });
    new ResizeObserver(() => this.sizeOver()).observe(this.plot);
  }

  // ---- series

  readSeries() {
    const rows = this.small ? [this.root] : [...this.legend.tBodies[0].rows];
    this.setSeries(rows.map(({ dataset: data }) => ({
      key: data.key, id: Number(data.series) || null, device: data.device, path: data.path, name: data.name, unit: data.unit, hidden: false, drawn: null,
    })));
  }

  setSeries(series) {
    this.series = series;
    series.forEach((one, index) => { one.index = index; });
    if (this.legend) this.paintSwatches();
    this.sayMissing();
  }

  get units() {
    return [...new Set(this.series.map((one) => one.unit))];
  }

  /** "y", "y2", or "" where two other units have taken the axes. */
  axisOf(one) {
    return ["y", "y2"][this.units.indexOf(one.unit)] ?? "";
  }

  get ids() {
    return this.series.filter((one) => one.id !== null).map((one) => one.id);
  }

  get devices() {
    return [...new Set(this.series.map((one) => one.device).filter(Boolean))];
  }

  get visible() {
    return this.series.filter((one) => !one.hidden && this.axisOf(one));
  }

  get titleText() {
    const given = (this.title?.value ?? this.title?.textContent ?? "").trim();
    if (given) return given;
    const [first] = this.series;
    if (!first) return "Chart";
    const names = [...new Set(this.series.map((one) => one.name || one.path))];
    const what = names.length > 2 ? `${names.length} kinds of values` : names.join(" and ");
    return `${what} of ${this.devices.length > 2 ? `${this.devices.length} devices` : this.devices.join(" and ") || first.key}`;
  }

  legendClicked(event) {
    const row = event.target.closest("tr");
    if (event.target.closest("[data-toggle]")) {
      const one = this.series[row.sectionRowIndex];
      if (event.altKey) {
        const alone = this.series.every((other) => other === one || other.hidden);
        for (const other of this.series) other.hidden = !alone && other !== one;
      } else one.hidden = !one.hidden;
      this.refresh();
      this.board.changed({ push: false });
    } else if (event.target.closest("[data-drop]")) {
      this.drop(row.sectionRowIndex);
    }
  }

  drop(index) {
    this.series.splice(index, 1);
    this.drawLegend();
    this.setSeries(this.series);
    this.refresh();
    this.board.seriesChanged(this, { load: false });
    (this.legend.tBodies[0].rows[Math.min(index, this.series.length - 1)]?.querySelector("[data-drop]") ?? this.root.querySelector("[role=combobox]"))?.focus();
  }

  /** Adds series that the picker found; says why where one cannot be added. */
  add(found) {
    for (const one of found) {
      if (this.series.some((other) => other.key === one.key)) continue;
      if (this.series.length >= this.board.maxSeries) {
        this.sayProblem([`A chart holds ${this.board.maxSeries} series. Put more on a chart below.`], "Another chart below", () => this.board.below(this, [one]));
        break;
      }
      if (!this.units.includes(one.unit) && this.units.length >= 2) {
        const [first, second] = this.units.map((unit) => unit || "no unit");
        this.sayProblem([`This chart has its two axes (${first}, ${second}): ${one.key} is in ${one.unit || "no unit"}.`], "Show it in a chart below", () => this.board.below(this, [one]));
        continue;
      }
      this.series.push({ ...one, hidden: false, drawn: null });
    }
    this.drawLegend();
    this.setSeries(this.series);
    this.refresh();
    this.board.seriesChanged(this, { load: true });
  }

  // ---- legend, reasons, problems

  drawLegend() {
    const body = this.legend.tBodies[0];
    const close = (one) => {
      const button = element("button", { type: "button", className: "iconbtn" });
      button.dataset.drop = "";
      button.setAttribute("aria-label", `Remove ${one.key}`);
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("class", "icon");
      svg.setAttribute("aria-hidden", "true");
      const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
      use.setAttribute("href", `${this.board.icons}#close`);
      svg.append(use);
      button.append(svg);
      return element("td", { className: "end" }, button);
    };
    body.replaceChildren(...this.series.map((one) => {
      const toggle = element("button", { type: "button", className: "series-toggle" },
        element("span", { className: "swatch" }),
        element("span", { className: "series-name" },
          element("b", { textContent: one.device || one.key }), " ",
          element("span", { className: "series-what" }, `${one.name} `, element("span", { className: "mono", textContent: one.path }))));
      toggle.dataset.toggle = "";
      const cells = Array.from({ length: 5 }, () => element("td", { className: "end num", textContent: "–" }));
      const heading = element("th", { scope: "row" }, toggle);
      return element("tr", {}, heading, ...cells, ...(this.board.picking ? [close(one)] : []));
    }));
    this.legend.hidden = !this.series.length;
    this.paintSwatches();
  }

  paintSwatches() {
    [...this.legend.tBodies[0].rows].forEach((row, index) => {
      const swatch = row.querySelector(".swatch");
      swatch.style.borderTopColor = colourOf(index);
      swatch.style.borderTopStyle = index >= COLOURS ? "dashed" : "solid";
    });
  }

  fillLegend() {
    if (!this.legend) return;
    [...this.legend.tBodies[0].rows].forEach((row, index) => {
      const one = this.series[index];
      const stats = one.drawn?.stats;
      const unit = one.unit ? ` ${one.unit}` : "";
      const put = (cell, value) => {
        const text = value === null || value === undefined ? "–" : `${valueText(value)}${unit}`;
        if (row.cells[cell].textContent !== text) row.cells[cell].textContent = text;
        row.cells[cell].title = value === null || value === undefined ? "" : `${valueText(value, whole)}${unit}`;
      };
      put(1, stats?.mean);
      put(2, stats?.min);
      put(3, stats?.max);
      put(4, stats?.last);
      const count = stats?.count ?? (one.drawn ? 0 : null);
      const others = one.drawn?.others ?? 0;
      row.cells[5].textContent = count === null ? "–" : `${short.format(count)}${others ? ` + ${short.format(others)}` : ""}`;
      row.cells[5].title = others ? `${others} of them no number` : "";
      const toggle = row.querySelector("[data-toggle]");
      toggle.setAttribute("aria-pressed", String(!one.hidden));
      toggle.title = one.hidden ? "Show it again" : "Hide it (Alt and click: show it alone)";
      row.classList.toggle("is-hidden", one.hidden || !this.axisOf(one));
      sayElsewhere(this, row, one);
    });
  }

  fillReasons() {
    if (!this.reasons) return;
    const [start, end] = this.board.window();
    const items = [];
    const swatch = (draw) => {
      const canvas = element("canvas", { width: 28, height: 28, className: "reason-swatch" });
      const ctx = canvas.getContext("2d");
      ctx.scale(2, 2);
      draw(ctx);
      return canvas;
    };
    for (const { reason, text } of reasonTotals(this.visible.map((one) => one.drawn).filter(Boolean), start, end)) {
      items.push(element("li", {}, swatch((ctx) => {
        ctx.fillStyle = patternOf(ctx, reason);
        ctx.fillRect(0, 0, 14, 14);
        ctx.fillRect(0, 0, 14, 14);
      }), text));
    }
    const others = this.visible.reduce((sum, one) => sum + (one.drawn?.others ?? 0), 0);
    if (others) {
      const kinds = [...new Set(this.visible.flatMap((one) => (one.drawn?.other ?? []).map(([, text]) => text.slice(0, 24))))].slice(0, 3).join(", ");
      items.push(element("li", {}, swatch((ctx) => {
        ctx.fillStyle = colours().text;
        ctx.beginPath();
        ctx.moveTo(7, 2);
        ctx.lineTo(12, 12);
        ctx.lineTo(2, 12);
        ctx.fill();
      }), `${others} ${others === 1 ? "sample is" : "samples are"} no number${kinds ? ` (${kinds})` : ""}`));
    }
    for (const { group, text } of this.eventCounts()) items.push(element("li", {}, swatch((ctx) => glyph(ctx, group, 7, 7)), text));
    if (this.board.eventsProblem) items.push(element("li", { textContent: `Events could not be read: ${this.board.eventsProblem.replace(/\.$/, "")}.` }));
    this.reasons.replaceChildren(...items);
    const levels = new Set(this.visible.filter((one) => one.drawn?.t.length).map((one) => {
      if (!one.drawn.aggregated) return "every sample";
      const { level, width } = one.drawn;
      return width ? `mean and min–max of ${lasting(width)}` : `mean and min–max ${LEVELS[level] ?? ""}`;
    }));
    this.level.textContent = levels.size ? [...levels].slice(0, 2).join(" · ") : "";
  }

  /** What happened in the window, by kind: [{group, text}]. */
  eventCounts() {
    const [start, end] = this.board.window();
    const groups = new Map();
    for (const event of this.events) if (event.at >= start && event.at <= end) groups.set(event.group, (groups.get(event.group) ?? 0) + 1);
    return [...groups].map(([group, many]) => ({ group, text: `${GROUPS[group] ?? group}: ${many}` }));
  }

  sayProblem(lines, label = "", act = null) {
    const parts = lines.map((line) => element("p", { textContent: line }));
    if (act) {
      const button = element("button", { type: "button", className: "btn btn-plain", textContent: label });
      button.addEventListener("click", () => {
        this.problem.hidden = true;
        act();
      });
      parts.push(button);
    }
    this.problem.replaceChildren(...parts);
    this.problem.hidden = false;
  }

  sayMissing() {
    this.problem.hidden = true;
    const missing = this.series.filter((one) => one.id === null);
    if (missing.length) {
      const names = missing.slice(0, 3).map((one) => `“${one.key}”`).join(", ");
      this.sayProblem([`There is no series ${names}${missing.length > 3 ? ` and ${missing.length - 3} more` : ""} yet: it appears here with its first number. Endpoint and path are written as in sim-1/3303/0/5700.`]);
    }
    const third = this.series.filter((one) => !this.axisOf(one));
    if (third.length) {
      const units = [...new Set(third.map((one) => one.unit || "no unit"))].join(", ");
      this.sayProblem(
        [`A chart has two axes: ${third.length} series in ${units} ${third.length === 1 ? "is" : "are"} not drawn here.`],
        this.board.picking ? "Show them in a chart below" : "", this.board.picking ? () => this.board.below(this, this.take(third)) : null,
      );
    }
  }

  take(series) {
    this.series = this.series.filter((one) => !series.includes(one));
    this.drawLegend();
    this.setSeries(this.series);
    return series;
  }

  sayInPlot(lines, label = "", act = null) {
    if (!lines.length) {
      this.say.hidden = true;
      return;
    }
    const parts = lines.map((line) => element("p", { textContent: line }));
    if (act) {
      const button = element("button", { type: "button", className: "btn btn-plain", textContent: label });
      button.addEventListener("click", act);
      parts.push(button);
    }
    this.say.replaceChildren(...parts);
    this.say.hidden = false;
  }

  // ---- data

  receive(answers) {
    for (const one of this.series) {
      const answer = answers.get(one.id);
      if (answer) one.drawn = new Drawn(answer);
    }
    this.loaded = true;
    this.problemFetching = false;
    this.cachedLayers = null;
    this.sayMissing();
    this.refresh();
  }

  failed(text) {
    this.problemFetching = true;
    this.sayProblem([`The chart could not be read: ${text.replace(/\.$/, "")}.`], "Try again", () => this.board.load());
  }

  layers() {
    this.cachedLayers ??= gapLayers(this.visible);
    return this.cachedLayers;
  }

  // ---- drawing

  refresh() {
    this.cachedLayers = null;
    const many = this.visible.length > 6;
    this.chart.data.datasets = this.visible.map((one) => ({
      label: one.key, data: [], drawn: one.drawn, index: one.index, faint: many, yAxisID: this.axisOf(one), xAxisID: "x",
    }));
    const { y, y2 } = this.chart.options.scales;
    const [left, right] = this.units;
    Object.assign(y.title, { display: Boolean(left) && !this.small, text: left ?? "" });
    Object.assign(y2.title, { display: Boolean(right), text: right ?? "" });
    y2.display = this.units.length > 1;
    this.slide();
    this.fillLegend();
    this.fillReasons();
    this.fillTable();
    this.describe();
  }

  /** The same data in the window as it is now. */
  slide() {
    const [start, end] = this.board.window();
    if (this.board.live) {
      for (const one of this.series) one.drawn?.goOn(end);
      if (this.series.some((one) => one.drawn?.gaps.at(-1)?.open)) this.cachedLayers = null;
    }
    const { x, y, y2 } = this.chart.options.scales;
    x.min = start;
    x.max = end;
    // an axis without values on it has nothing to say
    for (const [scale, name] of [[y, "y"], [y2, "y2"]]) {
      scale.ticks.display = this.visible.some((one) => this.axisOf(one) === name && one.drawn?.extent(start, end));
    }
    this.chart.options.layout.padding.right = y2.display ? 0 : 10 + this.board.rightRoom();
    paint(this.chart);
    this.chart.update("none");
    this.drawOver();
    this.sayEmpty(start, end);
  }

  sayEmpty(start, end) {
    if (!this.loaded || !this.series.length) {
      this.sayInPlot(this.series.length || this.small ? [] : ["Add a series above: type a part of a device's name, a path or what is measured."]);
      return;
    }
    const shown = this.visible.filter((one) => one.drawn);
    const any = shown.some((one) => one.drawn.extent(start, end) || one.drawn.other.some(([time]) => time >= start && time <= end));
    if (any || !shown.length) {
      this.sayInPlot(this.series.length && this.series.every((one) => one.hidden) ? ["All series are hidden: click one below to show it."] : []);
      return;
    }
    const last = Math.max(...shown.map((one) => one.drawn.last ?? -Infinity));
    if (!Number.isFinite(last)) this.sayInPlot(["No values yet."]);
    else if (last < start || last > end) {
      this.sayInPlot([`No values in this range. The newest is of ${dated(last)}.`], "Go there", () => {
        const half = (end - start) / 2;
        this.board.moveTo(last - half, last + half, { live: false });
        this.board.settle();
      });
    } else this.sayInPlot(["No values in this range."]);
  }

  describe() {
    const [start, end] = this.board.window();
    const parts = this.visible.map((one) => {
      const stats = one.drawn?.stats;
      const what = `${one.device} ${one.name} ${one.path}`;
      return stats ? `${what}: ${valueText(stats.min)} to ${valueText(stats.max)} ${one.unit}, last ${valueText(stats.last)}` : `${what}: no values`;
    });
    this.plot.setAttribute("aria-label", `${this.titleText}, ${exactTime(start)} to ${exactTime(end)}. ${parts.slice(0, 6).join(". ")}`);
  }

  repaint() {
    if (this.legend) this.paintSwatches();
    this.refresh();
  }

  // ---- pointer and cursor

  inside(x, y) {
    const { left, right, bottom } = this.chart.chartArea ?? {};
    return x >= left && x <= right && y <= bottom;
  }

  share(x) {
    const { left, width } = this.chart.chartArea;
    return (x - left) / width;
  }

  timeAt(x) {
    const [start, end] = this.board.window();
    return start + (end - start) * Math.min(1, Math.max(0, this.share(x)));
  }

  hover(x, y) {
    if (!this.inside(x, y)) {
      this.leave();
      return;
    }
    this.board.hold(this);
    this.cursor = { time: this.timeAt(x), x, y };
    this.board.point(this, this.cursor.time);
  }

  leave() {
    this.cursor = null;
    this.board.point(this, null);
  }

  /** The board tells every panel what moment is pointed at. */
  point(time, here) {
    this.pointed = time;
    this.drawOver();
    if (time === null || !here || !this.menu.hidden) this.tip.hidden = true;
    else this.fillTip(time);
  }

  reach() {
    const [start, end] = this.board.window();
    return ((end - start) / (this.chart.chartArea?.width || 1)) * REACH;
  }

  /** What is at a moment: the nearest row of each series, or the gap. */
  at(time) {
    return this.visible.filter((one) => one.drawn).map((one) => {
      const reach = Math.max(this.reach(), one.drawn.shift * 2);
      const i = one.drawn.nearest(time, reach);
      const gap = one.drawn.gapAt(time);
      return { one, i, gap: i < 0 || gap ? gap : null, row: i < 0 ? null : i };
    });
  }

  /** Of many series those whose line is nearest to the pointer, in the order of the legend. */
  closest(found, y) {
    if (found.length <= LISTED) return { shown: found, more: 0 };
    const { y: left, y2 } = this.chart.scales;
    const away = new Map(found.map((one) => {
      if (one.row === null) return [one, Infinity];
      const scale = this.axisOf(one.one) === "y2" ? y2 : left;
      return [one, Math.abs(scale.getPixelForValue(one.one.drawn.y[one.row]) - y)];
    }));
    const near = new Set([...found].sort((a, b) => away.get(a) - away.get(b)).slice(0, LISTED));
    return { shown: found.filter((one) => near.has(one)), more: found.length - LISTED };
  }

  lineOf({ one, row, gap }, format = short, full = true) {
    const unit = one.unit ? ` ${one.unit}` : "";
    if (gap && (row === null || one.drawn.t[row] < gap.start || one.drawn.t[row] > gap.end)) return REASONS[gap.reason] ?? gap.reason;
    if (row === null) return "–";
    const { drawn } = one;
    const value = `${valueText(drawn.y[row], format)}${unit}`;
    return drawn.aggregated && full ? `${value} (${valueText(drawn.low[row], format)} to ${valueText(drawn.high[row], format)}, ${short.format(drawn.count[row])})` : value;
  }

  near(list, at, reach) {
    return list.find((cluster) => Math.abs(cluster.at - at) <= reach) ?? null;
  }

  fillTip(time) {
    const found = this.at(time);
    const { x, y } = this.cursor;
    const { top, bottom, left, right } = this.chart.chartArea;
    const parts = [];
    const cluster = this.near(this.eventClusters, x, y < top + 4 ? 9 : 3);
    const mark = y > bottom - 24 ? this.near(this.marks, x, 8) : null;
    const rows = found.filter((one) => one.row !== null);
    const exact = rows.length === 1 ? found[0].one.drawn.t[rows[0].row] : null;
    parts.push(element("p", { className: "tip-time", textContent: exactTime(exact ?? time) }));
    if (cluster) for (const event of cluster.items.slice(0, 6)) parts.push(element("p", { className: "tip-event", textContent: `${event.device ? `${event.device}: ` : ""}${event.text} (${exactTime(event.at)})` }));
    if (mark) {
      const texts = [...new Set(mark.items.map((item) => item.text.slice(0, 40)))].slice(0, 3).join(", ");
      parts.push(element("p", { className: "tip-event", textContent: `${mark.items[0].one.device}: ${mark.items.length} × no number: ${texts}` }));
    }
    if (!(cluster && y < top)) {
      const list = element("ul");
      const { shown, more } = this.closest(found, y);
      for (const one of shown) {
        const swatch = element("span", { className: "swatch" });
        swatch.style.borderTopColor = colourOf(one.one.index);
        swatch.style.borderTopStyle = one.one.index >= COLOURS ? "dashed" : "solid";
        const text = this.lineOf(one, short, found.length <= BRIEF);
        const name = this.devices.length > 1 ? `${one.one.device} ${one.one.path}` : one.one.name || one.one.path;
        list.append(element("li", {}, swatch, ...(this.small ? [] : [element("span", { className: "tip-name", textContent: name })]), element("b", { textContent: text })));
      }
      parts.push(list);
      if (more) parts.push(element("p", { className: "muted", textContent: `and ${more} more, farther away` }));
      const gaps = new Set(found.map((one) => (this.lineOf(one) === REASONS[one.gap?.reason] ? `${one.gap.text || REASONS[one.gap.reason]} (${lasting(one.gap.end - one.gap.start)})` : null)).filter(Boolean));
      for (const text of [...gaps].slice(0, 3)) parts.push(element("p", { className: "tip-gap", textContent: text }));
    }
    this.tip.replaceChildren(...parts);
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth;
    const beside = x + 14 + wide <= right + 40 || x - 14 - wide < 0 ? Math.min(x + 14, Math.max(0, this.plot.clientWidth - wide)) : x - 14 - wide;
    this.tip.style.left = `${Math.max(0, beside)}px`;
    this.tip.style.top = `${Math.max(0, Math.min(y + 14, this.plot.clientHeight - this.tip.offsetHeight))}px`;
  }

  sizeOver() {
    const ratio = window.devicePixelRatio || 1;
    this.over.width = this.plot.clientWidth * ratio;
    this.over.height = this.plot.clientHeight * ratio;
    this.drawOver();
  }

  select(range) {
    this.selected = range;
    this.drawOver();
  }

  drawOver() {
    const area = this.chart.chartArea;
    const ctx = this.over.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, this.over.width, this.over.height);
    if (!area) return;
    const tones = colours();
    if (this.selected) {
      const [a, b] = this.selected.map((x) => Math.min(area.right, Math.max(area.left, x)));
      ctx.fillStyle = tones.accent;
      ctx.globalAlpha = 0.15;
      ctx.fillRect(Math.min(a, b), area.top, Math.abs(a - b), area.height);
      ctx.globalAlpha = 1;
      ctx.fillRect(a - 0.5, area.top, 1, area.height);
      ctx.fillRect(b - 0.5, area.top, 1, area.height);
    }
    const time = this.pointed;
    const { x, y, y2 } = this.chart.scales;
    if (time === null || time === undefined || time < x.min || time > x.max) return;
    const at = x.getPixelForValue(time);
    ctx.strokeStyle = tones.muted;
    ctx.globalAlpha = 0.7;
    ctx.beginPath();
    ctx.moveTo(Math.round(at) + 0.5, area.top);
    ctx.lineTo(Math.round(at) + 0.5, area.bottom);
    ctx.stroke();
    ctx.globalAlpha = 1;
    for (const { one, row, gap } of this.at(time)) {
      if (row === null || gap) continue;
      const px = x.getPixelForValue(one.drawn.t[row] + one.drawn.shift);
      const py = (this.axisOf(one) === "y2" ? y2 : y).getPixelForValue(one.drawn.y[row]);
      if (px < area.left || px > area.right) continue;
      ctx.fillStyle = colourOf(one.index);
      ctx.strokeStyle = tones.surface;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      ctx.arc(px, py, 4, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
  }

  /** By keyboard: to the next or previous row of any series, read aloud. */
  step(by) {
    const [start, end] = this.board.window();
    const from = this.cursor?.time ?? (by > 0 ? start - 1 : end + 1);
    let best = null;
    for (const { drawn } of this.visible) {
      if (!drawn) continue;
      for (const i of drawn.rowsIn(start, end)) {
        const time = drawn.t[i] + drawn.shift;
        if (by > 0 ? time > from + 0.5 && (best === null || time < best) : time < from - 0.5 && (best === null || time > best)) best = time;
      }
    }
    if (best === null) return;
    const { left, width, top, height } = this.chart.chartArea;
    this.cursor = { time: best, x: left + (width * (best - start)) / (end - start), y: top + height / 2 };
    this.board.hold(this);
    this.board.point(this, best);
    this.read.textContent = `${exactTime(best)}. ${this.at(best).map((one) => `${one.one.device} ${one.one.name || one.one.path}: ${this.lineOf(one)}`).join(". ")}`;
  }

  // ---- the menu of a moment

  openMenuAtCursor() {
    if (this.cursor) this.openMenu(this.cursor.x, this.cursor.y);
  }

  openMenu(x, y) {
    if (this.small) {
      this.root.querySelector("[data-enlarge]")?.click();
      return;
    }
    if (!this.inside(x, y)) return;
    const time = this.cursor && Math.abs(this.cursor.x - x) < 2 ? this.cursor.time : this.timeAt(x);
    const found = this.at(time);
    const nearest = this.nearestTo(found, time, y);
    const moment = nearest ? nearest.one.drawn.t[nearest.row] : Math.round(time);
    const iso = new Date(Math.round(moment)).toISOString();
    const parts = [element("p", { className: "tip-time", textContent: exactTime(moment) })];
    const list = element("ul", { className: "menu-values" });
    for (const one of nearest ? [nearest, ...found.filter((other) => other !== nearest)] : found) {
      const swatch = element("span", { className: "swatch" });
      swatch.style.borderTopColor = colourOf(one.one.index);
      const when = one.row !== null && one !== nearest ? ` at ${timeBeside(one.one.drawn.t[one.row], moment)}` : "";
      list.append(element("li", {}, swatch, element("span", { className: "tip-name", textContent: `${one.one.device} ${one.one.path}` }), element("b", { textContent: this.lineOf(one, one.one.drawn.aggregated ? short : whole) }), element("span", { className: "muted", textContent: when })));
    }
    parts.push(list);
    const devices = nearest ? [nearest.one.device, ...this.devices.filter((name) => name !== nearest.one.device)] : this.devices;
    for (const device of devices.slice(0, 4)) {
      parts.push(element("a", { href: `/logs/?${new URLSearchParams({ device, at: iso })}`, textContent: devices.length > 1 ? `Logs of this moment: ${device}` : "Logs of this moment" }));
    }
    const cluster = this.near(this.eventClusters, x, 12);
    for (const event of (cluster?.items ?? []).slice(0, 8)) {
      const text = `${event.text} (${exactTime(event.at)})`;
      parts.push(event.href ? element("a", { href: event.href, textContent: text }) : element("p", { className: "tip-event", textContent: text }));
    }
    const button = (text, act) => {
      const made = element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => {
        this.closeMenu(true);
        act();
      });
      parts.push(made);
    };
    const [start, end] = this.board.window();
    button("Mark this moment", () => this.board.mark(Math.round(moment)));
    if (this.board.at !== null) button("Take the mark away", () => this.board.mark(null));
    button("Zoom in here", () => {
      this.board.moveTo(moment - (end - start) / 8, moment + (end - start) / 8, { live: false });
      this.board.settle();
    });
    button("Close", () => {});
    this.menu.replaceChildren(...parts);
    this.tip.hidden = true;
    this.menu.hidden = false;
    this.board.hold(this);
    this.menu.style.left = `${Math.max(0, Math.min(x + 8, this.plot.clientWidth - this.menu.offsetWidth))}px`;
    this.menu.style.top = `${Math.max(0, Math.min(y + 8, this.plot.clientHeight - 40))}px`;
    this.menu.querySelector("a, button").focus({ preventScroll: true });
  }

  nearestTo(found, time, y) {
    let best = null;
    let distance = Infinity;
    const { x, y: left, y2 } = this.chart.scales;
    for (const one of found) {
      if (one.row === null) continue;
      const { drawn } = one.one;
      const scale = this.axisOf(one.one) === "y2" ? y2 : left;
      const away = Math.hypot(x.getPixelForValue(drawn.t[one.row] + drawn.shift) - x.getPixelForValue(time), (scale.getPixelForValue(drawn.y[one.row]) - y) / 2);
      if (away < distance) [best, distance] = [one, away];
    }
    return best;
  }

  closeMenu(focus = false) {
    if (this.menu.hidden) return;
    this.menu.hidden = true;
    if (focus) this.plot.focus({ preventScroll: true });
    this.board.release(this);
  }

  // ---- the same as a table

  fillTable() {
    if (!this.table?.open) return;
    const [start, end] = this.board.window();
    const rows = [];
    for (const one of this.visible) {
      if (!one.drawn) continue;
      for (const i of one.drawn.rowsIn(start, end)) rows.push([one.drawn.t[i], one, this.lineOf({ one, row: i, gap: null }, whole)]);
      for (const [time, text] of one.drawn.other) if (time >= start && time <= end) rows.push([time, one, text]);
    }
    rows.push(...this.events.filter((event) => event.at >= start && event.at <= end).map((event) => [event.at, null, event]));
    rows.sort((a, b) => b[0] - a[0]);
    const body = element("tbody");
    for (const [time, one, what] of rows.slice(0, ROWS)) {
      const cell = element("td");
      if (one) cell.textContent = what;
      else if (what.href) cell.append(element("a", { href: what.href, textContent: what.text }));
      else cell.textContent = what.text;
      body.append(element("tr", {}, element("td", { className: "num nowrap", textContent: exactTime(time) }), element("td", { textContent: one ? `${one.device} ${one.name} ${one.path}` : what.device ?? "" }), cell));
    }
    const head = element("thead", {}, element("tr", {}, ...["Time", "Series", "Value"].map((text) => element("th", { scope: "col", textContent: text }))));
    const caption = element("caption", { textContent: rows.length > ROWS ? `The newest ${ROWS} of ${rows.length} rows; the CSV has all of them.` : `${rows.length} row${rows.length === 1 ? "" : "s"}, newest first.` });
    const box = this.table.querySelector("[data-table-body]");
    const { scrollTop } = box;
    box.replaceChildren(element("table", { className: "list" }, caption, head, body));
    box.scrollTop = scrollTop;
  }
}
