// The chart of a device's page: one series, a range that slides along, new values as they come.
// Gaps are drawn as gaps, with the reason where we know it; what is not a number is counted, never drawn as one.

import { dated, exactly, relative, serverNow } from "./time.js";

const MAX_POINTS = 2000;
const TAIL_MS = 500;
const WHOLE_MS = 60000; // late values may lie anywhere in the range: now and then all of it is read again
const SLIDE_MS = 1000;
const GAPS_MS = 10000;

const card = document.getElementById("chart");
const canvas = document.getElementById("chart-canvas");
const select = document.getElementById("series");
const valueOut = document.getElementById("chart-value");
const whenOut = document.getElementById("chart-when");
const notes = document.getElementById("chart-notes");
const empty = document.getElementById("chart-empty");

const state = {
  id: "", path: "", unit: "", range: 3600,
  points: [], // [ms, number|null, text|null], or [ms, min, max, mean] when aggregated
  other: [], // [ms, null, text]: no numbers
  aggregated: false, next: null, gaps: [], last: null, first: null,
  loadedAt: 0, request: 0, busy: false, again: false, timer: 0,
};

let chart = null;

const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

async function getJson(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    throw new Error(body.detail || `The server answered ${response.status}.`);
  }
  return response.json();
}

/** Start and end of what is shown, in ms; the end is now. */
function windowOf() {
  const end = Math.max(serverNow(), state.last ?? 0);
  if (state.range > 0) return [end - state.range * 1000, end];
  return [Math.min(state.first ?? end - 3600e3, end - 60e3), end];
}

// ---- reading

async function load() {
  const request = ++state.request;
  const ask = new URLSearchParams({ max_points: MAX_POINTS });
  if (state.range > 0) ask.set("start", Math.floor(serverNow() - state.range * 1000));
  try {
    const [answer, gaps] = await Promise.all([
      getJson(`/api/v1/series/${state.id}/samples?${ask}`),
      getJson(`/api/v1/gaps?start=${Math.floor(state.range > 0 ? serverNow() - state.range * 1000 : 0)}`),
    ]);
    if (request !== state.request) return;
    state.aggregated = answer.aggregated;
    state.points = answer.points;
    state.other = answer.aggregated ? answer.other : [];
    state.next = answer.next;
    state.first = Date.parse(answer.series.first) || null;
    // what was down before the series began is no gap in it
    state.gaps = gaps.items.filter((gap) => !gap.end || !state.first || Date.parse(gap.end) > state.first);
    state.last = Date.parse(answer.series.last) || null;
    state.loadedAt = performance.now();
    draw();
  } catch (error) {
    if (request === state.request) sayEmpty([`The chart could not be read: ${error.message}`]);
  }
}

/** Only what came after the last answer. */
async function tail() {
  const request = state.request;
  let more = true;
  while (more) {
    const ask = new URLSearchParams({ after: state.next, thin: "false", max_points: MAX_POINTS });
    const answer = await getJson(`/api/v1/series/${state.id}/samples?${ask}`);
    if (request !== state.request) return;
    state.points.push(...answer.points);
    state.next = answer.next ?? state.next;
    state.last = Date.parse(answer.series.last) || state.last;
    more = answer.truncated;
    if (state.points.length > 2 * MAX_POINTS) {
      await load(); // time to thin out
      return;
    }
  }
  draw();
}

function restOf(range) {
  // a long range moves slowly on the screen: reading it all again twice a second would be waste
  return Math.max(2000, range);
}

async function fresh() {
  if (state.busy) {
    state.again = true;
    return;
  }
  if (state.timer) return;
  const pause = state.aggregated || !state.next ? Math.max(TAIL_MS, state.loadedAt + restOf(state.range || 86400) - performance.now()) : TAIL_MS;
  state.timer = setTimeout(async () => {
    state.timer = 0;
    state.busy = true;
    try {
      const whole = state.aggregated || !state.next || performance.now() - state.loadedAt > WHOLE_MS;
      await (whole ? load() : tail());
    } catch {
      // the banner tells of a lost connection; the next event tries again
    }
    state.busy = false;
    if (state.again) {
      state.again = false;
      fresh();
    }
  }, state.points.length ? Math.min(pause, 30000) : 0);
}

// ---- drawing

/** What counts as a gap between two samples: much longer than usual for this series. */
function usualPause(times) {
  if (times.length < 3) return Infinity;
  const pauses = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  const middle = pauses[Math.floor(pauses.length / 2)];
  const high = pauses[Math.floor(pauses.length * 0.9)];
  return Math.max(middle * 5, high * 3, 5000);
}

/** Was most of the time between two samples one in which we know that something was missed? */
function interrupted(before, after) {
  if (after - before < 2000) return false;
  return state.gaps.some((gap) => {
    const from = Math.max(Date.parse(gap.start), before);
    const to = Math.min(gap.end ? Date.parse(gap.end) : Infinity, after);
    return to - from > (after - before) / 2;
  });
}

/** Points for a line that breaks where there was nothing: at long pauses, non-numbers and known interruptions. */
function broken(rows, pick) {
  const pause = usualPause(rows.map((row) => row[0]));
  const out = [];
  let before = null;
  for (const row of rows) {
    const y = pick(row);
    if (before !== null) {
      const cut = row[0] - before > pause || interrupted(before, row[0]);
      if (cut) out.push({ x: (before + row[0]) / 2, y: null });
    }
    out.push({ x: row[0], y: typeof y === "number" && Number.isFinite(y) ? y : null });
    before = row[0];
  }
  return out;
}

/** Shades the stretches that we know to be incomplete, and ticks the samples that are no numbers. */
const honesty = {
  id: "honesty",
  beforeDatasetsDraw(drawn) {
    const { ctx, chartArea: area, scales: { x } } = drawn;
    ctx.save();
    ctx.fillStyle = css("--fn-chart-gap");
    for (const gap of state.gaps) {
      const from = Math.max(x.getPixelForValue(Date.parse(gap.start)), area.left);
      const to = Math.min(gap.end ? x.getPixelForValue(Date.parse(gap.end)) : area.right, area.right);
      if (to < area.left || from > area.right) continue;
      ctx.fillRect(from, area.top, Math.max(to - from, 2), area.height);
    }
    ctx.fillStyle = css("--fn-bad");
    for (const [time] of nonNumbers()) {
      const at = x.getPixelForValue(time);
      if (at < area.left || at > area.right) continue;
      ctx.beginPath();
      ctx.moveTo(at, area.bottom - 7);
      ctx.lineTo(at + 4, area.bottom);
      ctx.lineTo(at - 4, area.bottom);
      ctx.fill();
    }
    ctx.restore();
  },
};

function nonNumbers() {
  return state.aggregated ? state.other : state.points.filter((point) => typeof point[1] !== "number");
}

function datasets() {
  const line = css("--fn-chart-line");
  const style = { borderColor: line, borderWidth: 1.5, pointRadius: 0, pointHitRadius: 8, spanGaps: false, tension: 0 };
  if (!state.aggregated) {
    const data = broken(state.points, (row) => row[1]);
    // single samples between gaps are no line: they need a dot
    const lone = data.map((point, i) => point.y !== null && (data[i - 1]?.y ?? null) === null && (data[i + 1]?.y ?? null) === null);
    const few = data.length <= 60;
    return [{ ...style, label: "value", data, pointBackgroundColor: line, pointRadius: lone.map((one) => (one || few ? 2.5 : 0)) }];
  }
  const band = { ...style, borderWidth: 0, pointHitRadius: 0 };
  return [
    { ...style, label: "mean", data: broken(state.points, (row) => row[3]) },
    { ...band, label: "smallest", data: broken(state.points, (row) => row[1]) },
    { ...band, label: "largest", data: broken(state.points, (row) => row[2]), fill: "-1", backgroundColor: css("--fn-chart-band") },
  ];
}

function options() {
  const muted = css("--fn-muted");
  const grid = { color: css("--fn-chart-grid"), drawTicks: false };
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    normalized: true,
    parsing: false,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: {
        type: "time",
        grid, border: { display: false },
        ticks: { color: muted, maxRotation: 0, autoSkipPadding: 24, padding: 6 },
        time: {
          tooltipFormat: "PP HH:mm:ss",
          displayFormats: { millisecond: "HH:mm:ss.SSS", second: "HH:mm:ss", minute: "HH:mm", hour: "HH:mm", day: "d MMM", week: "d MMM", month: "MMM yyyy", year: "yyyy" },
        },
      },
      y: {
        grid, border: { display: false }, grace: "8%",
        ticks: { color: muted, padding: 6, maxTicksLimit: 7 },
        title: { display: Boolean(state.unit), text: state.unit, color: muted },
      },
    },
    plugins: {
      legend: { display: false },
      tooltip: {
        displayColors: false,
        filter: (item) => item.parsed.y !== null,
        callbacks: { label: (item) => `${item.dataset.label === "value" ? "" : `${item.dataset.label} `}${number.format(item.parsed.y)} ${state.unit}`.trim() },
      },
    },
  };
}

function draw() {
  const [start, end] = windowOf();
  if (!state.aggregated) {
    // of what has slid out of the window one sample stays, so that the line begins at the edge
    const from = state.points.findIndex((point) => point[0] >= start);
    if (from > 1) state.points.splice(0, from - 1);
  }
  if (!chart) {
    chart = new window.Chart(canvas, { type: "line", data: { datasets: [] }, options: options(), plugins: [honesty] });
  }
  chart.options = options();
  chart.data.datasets = datasets();
  chart.options.scales.x.min = start;
  chart.options.scales.x.max = end;
  chart.update("none");
  describe(start);
}

function span(gap) {
  const from = new Date(gap.start);
  if (!gap.end) return `${exactly(from.getTime())} until now`;
  const to = new Date(gap.end);
  const sameDay = from.toDateString() === to.toDateString();
  return `${exactly(from.getTime())} to ${sameDay ? to.toTimeString().slice(0, 8) : exactly(to.getTime())}`;
}

/** The same in words: for screen readers, and for what a line cannot say. */
function describe(start) {
  const inside = state.points.filter((point) => point[0] >= start);
  const numbers = state.aggregated ? inside.flatMap((point) => [point[1], point[2]]) : inside.map((point) => point[1]).filter((one) => typeof one === "number");
  const unit = state.unit ? ` ${state.unit}` : "";
  const lines = [];
  const odd = nonNumbers().filter((point) => point[0] >= start);
  if (numbers.length) {
    const [low, high] = numbers.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]);
    lines.push(`From ${number.format(low)} to ${number.format(high)}${unit}${state.aggregated ? ". Thinned: the line is the mean, the band reaches from the smallest to the largest value" : ` in ${inside.length - odd.length} sample${inside.length - odd.length === 1 ? "" : "s"}`}.`);
  }
  if (odd.length) {
    const kinds = [...new Set(odd.map((point) => String(point[2]).slice(0, 24)))].slice(0, 3).join(", ");
    lines.push(`${odd.length} sample${odd.length === 1 ? " is" : "s are"} no number (${kinds}): a triangle on the axis.`);
  }
  for (const gap of state.gaps.filter((one) => !one.end || Date.parse(one.end) > start).slice(-3)) {
    const what = gap.kind === "lost" ? `${gap.lost_events ?? "Some"} events lost` : "Not heard";
    lines.push(`${what} from ${span(gap)}${gap.reason ? `: ${gap.reason}` : ""}.`);
  }
  notes.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
  canvas.setAttribute("aria-label", `${select.selectedOptions[0].textContent}. ${lines.join(" ")}`);

  const newest = state.points.at(-1);
  const value = newest && (state.aggregated ? newest[3] : newest[1]);
  if (state.aggregated || !newest) {
    valueOut.textContent = newest ? `${number.format(value)}${unit}` : "–";
  } else {
    valueOut.textContent = typeof value === "number" ? `${number.format(value)}${unit}` : String(newest[2] ?? "–").slice(0, 60);
  }
  sayWhen();
  if (inside.length) empty.hidden = true;
  else sayNothing();
}

function sayWhen() {
  whenOut.textContent = state.last ? relative(state.last) : "";
  whenOut.title = state.last ? exactly(state.last) : "";
}

function sayEmpty(lines, button = null) {
  empty.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line, className: "mb-0" })));
  if (button) empty.append(button);
  empty.hidden = false;
}

function sayNothing() {
  if (!state.last) {
    sayEmpty(["No samples yet."]);
    return;
  }
  const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-plain", textContent: "Show all there is" });
  button.addEventListener("click", () => choose({ range: 0 }));
  sayEmpty([`No samples in this range. The newest is of ${dated(state.last)}.`], button);
}

// ---- choosing; the choice is in the address, so that it can be sent to a colleague

function choose({ path = state.path, range = state.range, remember = true }) {
  const option = [...select.options].find((one) => one.dataset.path === path);
  if (!option) return;
  option.selected = true;
  const radio = card.querySelector(`input[name="range"][value="${range}"]`) ?? card.querySelector('input[name="range"][value="3600"]');
  radio.checked = true;
  const other = option.value !== state.id;
  Object.assign(state, { id: option.value, path, unit: option.dataset.unit, range: Number(radio.value) });
  if (other) Object.assign(state, { points: [], other: [], next: null, last: null, first: null, aggregated: false });
  const explore = document.getElementById("chart-explore");
  const query = new URLSearchParams({ s: card.dataset.device + path, range: state.range ? `${state.range}s` : "1y" });
  explore.href = `${explore.pathname}?${query}`;
  if (remember) {
    const url = new URL(window.location.href);
    url.searchParams.set("series", path);
    url.searchParams.set("range", String(state.range));
    window.history.replaceState(null, "", url);
  }
  load();
}

function start() {
  const asked = new URL(window.location.href).searchParams;
  const range = asked.get("range");
  choose({
    path: select.selectedOptions[0].dataset.path,
    range: range !== null && /^\d+$/.test(range) ? Number(range) : 3600,
    remember: false,
  });
  select.addEventListener("change", () => choose({ path: select.selectedOptions[0].dataset.path }));
  card.addEventListener("change", (event) => {
    if (event.target.name === "range") choose({ range: Number(event.target.value) });
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-chart]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (![...select.options].some((one) => one.dataset.path === link.dataset.chart)) return; // new series: load the page
    event.preventDefault();
    choose({ path: link.dataset.chart });
    const { top, bottom } = card.getBoundingClientRect();
    if (top < 0 || bottom > window.innerHeight) card.scrollIntoView({ block: "start" });
  });
  document.addEventListener("fn:values", fresh);
  document.addEventListener("fn:resync", load);
  document.addEventListener("fn:server", () => {
    if (performance.now() - state.loadedAt > GAPS_MS) load(); // it may have gone down, or come back
  });
  document.addEventListener("fn:theme", () => chart && draw());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) load();
  });
  setInterval(() => {
    if (document.hidden || !chart) return;
    sayWhen();
    if (state.range > 0 && state.range <= 3600) draw(); // the window slides along, values or not
    else if (performance.now() - state.loadedAt > WHOLE_MS) load();
  }, SLIDE_MS);
}

if (card) start();
