// Drawing. Chart.js lays out axes and grid; lines, bands, gaps and marks of up to 24 × 2,000 rows are drawn straight
// from flat arrays, so that moving in time stays smooth. What is no number is a mark on the axis, never a line.

import { timeTicks } from "./chart-time.js";

const { Chart } = window;
export const COLOURS = 12;
const LANE = 5;
const LANES = 8;
const FAR = 1e5;
const EVENT_LANE = 18;
const CLUSTER = 13;
const EVENT_CLUSTER = 22;
// from the smallest to the largest value: plain to see, and what lies below shines through; `many`: where many lie over
// each other
const BAND = { fill: 0.3, edge: 0.65, many: 0.5 };
// what an axis can still count
const LARGEST = 1e300;

let theme = null;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Colours of the theme that the page has now; read again after a change. */
export function colours() {
  const name = document.documentElement.dataset.bsTheme ?? "light";
  if (theme?.name === name) return theme;
  const series = Array.from({ length: COLOURS }, (_, i) => css(`--fn-series-${i + 1}`));
  const reason = { asleep: css("--fn-sleep"), offline: css("--fn-warn"), server: css("--fn-bad"), lost: css("--fn-bad"), silent: css("--fn-none") };
  theme = {
    name, series, reason, patterns: {},
    text: css("--fn-text"), muted: css("--fn-muted"), grid: css("--fn-chart-grid"), surface: css("--fn-surface"), accent: css("--fn-accent"),
    group: { registration: css("--fn-ok"), command: css("--fn-accent"), firmware: css("--fn-sleep"), clock: css("--fn-none"), alert: css("--fn-bad") },
  };
  return theme;
}

export function colourOf(index) {
  return colours().series[index % COLOURS];
}

/** Each reason has a hatching of its own: colour alone says nothing to everybody. */
export function patternOf(ctx, reason) {
  const { patterns, reason: tones } = colours();
  if (patterns[reason]) return patterns[reason];
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.fillStyle = pen.strokeStyle = tones[reason] ?? tones.silent;
  pen.globalAlpha = 0.1;
  pen.fillRect(0, 0, 8, 8);
  pen.globalAlpha = 0.42;
  pen.lineWidth = 1;
  pen.beginPath();
  const strokes = {
    asleep: [],
    offline: [[-2, 10, 10, -2], [-2, 2, 2, -2], [6, 10, 10, 6]],
    server: [[-2, 10, 10, -2], [-2, -2, 10, 10]],
    lost: [[4.5, 0, 4.5, 8]],
    silent: [[-2, -2, 10, 10], [-2, 6, 2, 10], [6, -2, 10, 2]],
  };
  for (const [x1, y1, x2, y2] of strokes[reason] ?? strokes.silent) {
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
  }
  pen.stroke();
  if (reason === "asleep") pen.fillRect(3, 3, 2, 2);
  patterns[reason] = ctx.createPattern(tile, "repeat");
  return patterns[reason];
}

const clamp = (value) => Math.max(-LARGEST, Math.min(LARGEST, value));

function projection(scale, from, length) {
  // halves: the span of an axis may be larger than a double
  const [low, high] = [scale.min / 2, scale.max / 2];
  const factor = length / (high - low || 1);
  return (value) => {
    const at = from + (clamp(value) / 2 - low) * factor;
    return at > FAR ? FAR : at < -FAR ? -FAR : at;
  };
}

/** Chart.js' controller of one of our series: no element per point. */
class SeriesController extends Chart.DatasetController {
  static id = "series";

  static defaults = { datasetElementType: "line", dataElementType: "point" };

  static overrides = {};

  addElements() {}

  buildOrUpdateElements() {}

  update() {}

  getMinMax(scale) {
    const { min, max } = this.chart.options.scales.x;
    if (scale.axis === "x") return { min, max };
    const extent = this.getDataset().drawn?.extent(min, max);
    return extent ? { min: clamp(extent[0]), max: clamp(extent[1]) } : { min: Infinity, max: -Infinity };
  }

  /** What is drawn where: the rows of the window, and from times and values to pixels. */
  place() {
    const { drawn } = this.getDataset();
    const { xScale, yScale } = this.getMeta();
    const { chartArea: area } = this.chart;
    const [from, to] = drawn.between(xScale.min, xScale.max);
    return { x: projection(xScale, area.left, area.width), y: projection(yScale, area.bottom, -area.height), from, to, cuts: drawn.cuts() };
  }

  /** From the smallest to the largest value of each bucket: before any line, so that no line is covered. */
  drawBand() {
    const { drawn, index, faint } = this.getDataset();
    if (!drawn?.aggregated || !drawn.t.length) return;
    const { ctx } = this.chart;
    const { x, y, from, to, cuts } = this.place();
    const { shift } = drawn;
    const share = faint ? BAND.many : 1;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colourOf(index);
    ctx.lineJoin = "round";
    ctx.lineWidth = 0.75;
    for (let begin = from; begin < to; ) {
      let end = begin + 1;
      while (end < to && !cuts[end]) end += 1;
      ctx.globalAlpha = BAND.fill * share;
      if (end - begin > 1) {
        ctx.beginPath();
        for (let i = begin; i < end; i += 1) ctx.lineTo(x(drawn.t[i] + shift), y(drawn.high[i]));
        for (let i = end - 1; i >= begin; i -= 1) ctx.lineTo(x(drawn.t[i] + shift), y(drawn.low[i]));
        ctx.fill();
        ctx.globalAlpha = BAND.edge * share;
        for (const edge of [drawn.high, drawn.low]) {
          ctx.beginPath();
          for (let i = begin; i < end; i += 1) ctx.lineTo(x(drawn.t[i] + shift), y(edge[i]));
          ctx.stroke();
        }
      } else {
        const half = Math.max(1, (x(drawn.t[begin] + 2 * shift) - x(drawn.t[begin])) / 2);
        ctx.fillRect(x(drawn.t[begin] + shift) - half, y(drawn.high[begin]), 2 * half, Math.max(1, y(drawn.low[begin]) - y(drawn.high[begin])));
      }
      begin = end;
    }
    ctx.restore();
  }

  draw() {
    const { drawn, index, faint } = this.getDataset();
    if (!drawn || !drawn.t.length) return;
    const { ctx, chartArea: area } = this.chart;
    const { x, y, from, to, cuts } = this.place();
    const { shift } = drawn;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colourOf(index);
    ctx.lineJoin = "round";
    ctx.lineWidth = faint ? 1.25 : 1.75;
    if (index >= COLOURS) ctx.setLineDash([6, 4]);
    ctx.beginPath();
    let lastY = 0;
    for (let i = from; i < to; i += 1) {
      const [px, py] = [x(drawn.t[i] + shift), y(drawn.y[i])];
      if (i === from || cuts[i]) ctx.moveTo(px, py);
      else {
        if (drawn.step) ctx.lineTo(px, lastY);
        ctx.lineTo(px, py);
      }
      lastY = py;
    }
    ctx.stroke();
    ctx.setLineDash([]);
    const few = (to - from) * 9 < area.width;
    ctx.beginPath();
    for (let i = from; i < to; i += 1) {
      const alone = (i === from || cuts[i]) && (i + 1 >= to || cuts[i + 1]);
      if (!few && !alone) continue;
      const [px, py] = [x(drawn.t[i] + shift), y(drawn.y[i])];
      ctx.moveTo(px + 2.5, py);
      ctx.arc(px, py, 2.5, 0, 2 * Math.PI);
    }
    ctx.fill();
    ctx.restore();
  }
}
Chart.register(SeriesController);

/** What is shaded over the whole height (nothing came from anybody, or nothing could), and what in a lane of its own. */
export function gapLayers(series) {
  const shown = series.filter((one) => one.drawn && !one.hidden);
  const full = [];
  const lanes = [];
  if (shown.length === 1) return { full: shown[0].drawn.gaps.map((gap) => ({ ...gap })), lanes };
  const common = new Map();
  const edges = [];
  shown.forEach((one, i) => {
    for (const gap of one.drawn.gaps) {
      edges.push([gap.start, 1, i, gap.reason], [gap.end, -1, i, gap.reason]);
      if (gap.reason === "server" || gap.reason === "lost") common.set(`${gap.reason} ${gap.start}`, gap);
    }
  });
  edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const open = new Map();
  let since = null;
  for (const [time, kind, i, reason] of edges) {
    const before = open.size === shown.length && shown.length > 0;
    const many = (open.get(i)?.many ?? 0) + kind;
    if (many > 0) open.set(i, { many, reason });
    else open.delete(i);
    const now = open.size === shown.length;
    if (now && !before) since = { start: time, reason };
    if (!now && before && since && time > since.start) full.push({ ...since, end: time });
  }
  full.push(...common.values());
  shown.forEach((one) => {
    const own = one.drawn.gaps.filter((gap) => !full.some((other) => other.start <= gap.start && gap.end <= other.end));
    if (own.length) lanes.push({ index: one.index, gaps: own });
  });
  return { full, lanes };
}

function clusters(items, x, area, reach) {
  const found = [];
  for (const item of items) {
    const at = x.getPixelForValue(item.at);
    if (at < area.left - 1 || at > area.right + 1) continue;
    const last = found.at(-1);
    if (last && at - last.at < reach) last.items.push(item);
    else found.push({ at, items: [item] });
  }
  return found;
}

const GLYPHS = {
  registration: (ctx, x, y) => ctx.arc(x, y, 4, 0, 2 * Math.PI),
  command: (ctx, x, y) => { ctx.moveTo(x - 3.5, y - 4.5); ctx.lineTo(x + 4.5, y); ctx.lineTo(x - 3.5, y + 4.5); ctx.closePath(); },
  firmware: (ctx, x, y) => { ctx.moveTo(x, y - 5); ctx.lineTo(x + 5, y); ctx.lineTo(x, y + 5); ctx.lineTo(x - 5, y); ctx.closePath(); },
  clock: (ctx, x, y) => ctx.rect(x - 3.5, y - 3.5, 7, 7),
  alert: (ctx, x, y) => { ctx.moveTo(x, y - 5); ctx.lineTo(x + 5, y + 4); ctx.lineTo(x - 5, y + 4); ctx.closePath(); },
};

export function glyph(ctx, group, x, y) {
  ctx.fillStyle = colours().group[group] ?? colours().muted;
  ctx.beginPath();
  (GLYPHS[group] ?? GLYPHS.clock)(ctx, x, y);
  ctx.fill();
}

/** Gaps and bands behind the lines; marks, events and the marked moment before them. */
const honesty = (panel) => ({
  id: "honesty",
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea: area, scales: { x } } = chart;
    const { full, lanes } = panel.layers();
    ctx.save();
    ctx.beginPath();
    ctx.rect(area.left, area.top, area.width, area.height);
    ctx.clip();
    const shade = (gap, top, height) => {
      const left = Math.max(x.getPixelForValue(gap.start), area.left);
      const right = Math.min(x.getPixelForValue(gap.end), area.right);
      if (right < area.left || left > area.right) return;
      ctx.fillStyle = patternOf(ctx, gap.reason);
      ctx.fillRect(left, top, Math.max(right - left, 1), height);
    };
    for (const gap of full) shade(gap, area.top, area.height);
    lanes.forEach((lane, i) => {
      const top = area.bottom - (Math.min(i, LANES - 1) + 1) * (LANE + 1);
      for (const gap of lane.gaps) {
        shade(gap, top, LANE);
        const left = Math.max(x.getPixelForValue(gap.start), area.left);
        const right = Math.min(x.getPixelForValue(gap.end), area.right);
        ctx.globalAlpha = 0.65;
        ctx.fillStyle = colourOf(lane.index);
        if (right > left) ctx.fillRect(left, top, Math.max(right - left, 1), LANE);
        ctx.globalAlpha = 1;
      }
    });
    for (const { controller } of chart.getSortedVisibleDatasetMetas()) controller.drawBand();
    ctx.restore();
  },
  afterDatasetsDraw(chart) {
    const { ctx, chartArea: area, scales: { x } } = chart;
    const tones = colours();
    ctx.save();
    ctx.textAlign = "center";
    ctx.font = `600 10px ${Chart.defaults.font.family}`;
    panel.marks = [];
    for (const one of panel.series) {
      if (!one.drawn || one.hidden) continue;
      const items = one.drawn.other.map(([at, text]) => ({ at, text, one }));
      for (const cluster of clusters(items, x, area, CLUSTER)) {
        ctx.fillStyle = colourOf(one.index);
        ctx.strokeStyle = tones.surface;
        ctx.beginPath();
        ctx.moveTo(cluster.at, area.bottom - 9);
        ctx.lineTo(cluster.at + 5, area.bottom);
        ctx.lineTo(cluster.at - 5, area.bottom);
        ctx.closePath();
        ctx.fill();
        ctx.stroke();
        if (cluster.items.length > 1) {
          ctx.fillStyle = tones.text;
          ctx.fillText(`${cluster.items.length}`, cluster.at, area.bottom - 12);
        }
        panel.marks.push(cluster);
      }
    }
    panel.eventClusters = panel.small ? [] : clusters(panel.events, x, area, EVENT_CLUSTER);
    for (const cluster of panel.eventClusters) {
      ctx.strokeStyle = tones.muted;
      ctx.globalAlpha = 0.3;
      ctx.setLineDash([2, 3]);
      ctx.beginPath();
      ctx.moveTo(cluster.at, area.top);
      ctx.lineTo(cluster.at, area.bottom);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
      const y = area.top - EVENT_LANE / 2;
      glyph(ctx, cluster.items[0].group, cluster.at, y);
      if (cluster.items.length > 1) {
        ctx.fillStyle = tones.text;
        // not over the axis on the right
        const beside = cluster.at > area.right - 14 ? -6 : 6;
        ctx.textAlign = beside > 0 ? "left" : "right";
        ctx.fillText(`${cluster.items.length}`, cluster.at + beside, y + 3.5);
        ctx.textAlign = "center";
      }
    }
    const marked = panel.board.at;
    if (marked !== null && marked >= x.min && marked <= x.max) {
      const at = x.getPixelForValue(marked);
      ctx.strokeStyle = ctx.fillStyle = tones.accent;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.moveTo(at, area.top - (panel.small ? 0 : 4));
      ctx.lineTo(at, area.bottom);
      ctx.stroke();
      ctx.beginPath();
      ctx.moveTo(at - 5, area.top - 4);
      ctx.lineTo(at + 5, area.top - 4);
      ctx.lineTo(at, area.top + 3);
      ctx.fill();
    }
    ctx.restore();
  },
});

const axisNumber = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 12 });

function valueTicks(value, index, ticks) {
  const size = Math.max(...ticks.map((tick) => Math.abs(tick.value)));
  if (value === 0) return "0";
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return value.toExponential(2).replace(/\.?0+e/, "e");
  return axisNumber.format(value);
}

/** An empty chart of a panel; `panel.refresh()` fills it. */
export function newChart(canvas, panel) {
  const { board, small } = panel;
  const value = (side) => ({
    axis: "y", type: "linear", position: side, display: side === "left", grace: "6%",
    border: { display: false },
    ticks: { padding: 6, maxTicksLimit: small ? 4 : 7, callback: valueTicks },
    title: { display: false, text: "" },
    afterFit(scale) {
      // charts below each other share the time axis: their plots begin and end at the same place
      if (scale.options.display === false) return;
      scale.width = board.axisWidth(side, scale.width);
    },
  });
  return new Chart(canvas, {
    type: "series",
    data: { datasets: [] },
    plugins: [honesty(panel)],
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true, events: [],
      layout: { padding: { top: small ? 6 : EVENT_LANE + 2, right: 10, left: 0, bottom: 0 } },
      plugins: { legend: { display: false }, tooltip: { enabled: false }, title: { display: false } },
      scales: {
        x: {
          type: "linear", border: { display: false }, min: 0, max: 1,
          ticks: { autoSkip: false, maxRotation: 0, minRotation: 0, padding: 6, callback: (_, index, ticks) => ticks[index].label },
          afterBuildTicks(scale) {
            scale.ticks = timeTicks(scale.min, scale.max, Math.max(2, scale.width / (small ? 62 : 72)));
          },
        },
        y: value("left"),
        y2: { ...value("right"), grid: { drawOnChartArea: false } },
      },
    },
  });
}

/** Colours of axes and grid, after a change of the theme too. */
export function paint(chart) {
  const { muted, grid, text } = colours();
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = muted;
    scale.grid = { ...scale.grid, color: grid, drawTicks: false };
    if (scale.title) scale.title.color = text;
  }
}
