// What a chart draws: one series' answer of /api/v1/chart in flat arrays, what came after it folded in, and what can be asked of it.

import { lasting } from "./chart-time.js";

export const REASONS = {
  asleep: "asleep",
  offline: "offline",
  server: "our server was not listening",
  lost: "events lost",
  silent: "no value",
};

// series or devices in one request
export const ANSWER_SERIES = 24;
const OPEN_MS = 1500;

const finite = (value) => typeof value === "number" && Number.isFinite(value);

async function getJson(url, signal) {
  let response;
  try {
    response = await fetch(url, { headers: { Accept: "application/json" }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("the server cannot be reached");
  }
  if (!response.ok) {
    const body = await response.json().catch(() => ({}));
    if (response.status === 401) throw new Error("your session has ended: sign in again");
    throw new Error(body.detail || `the server answered ${response.status}`);
  }
  return response.json();
}

/** The answers for these series (ids) of start ≤ time < end (ms), by id. */
export async function fetchSeries({ ids, start, end, points, signal }) {
  const ask = new URLSearchParams({ start: Math.floor(start), end: Math.ceil(end), points });
  for (const id of ids) ask.append("series", id);
  const answer = await getJson(`/api/v1/chart?${ask}`, signal);
  return new Map(answer.items.map((item) => [item.series.id, { ...item, now: answer.now }]));
}

/** What happened to these devices: [{at, device, kind, group, text, href}]. */
export async function fetchEvents({ devices, start, end, signal }) {
  const asks = [];
  for (let i = 0; i < devices.length; i += ANSWER_SERIES) {
    const ask = new URLSearchParams({ start: Math.floor(start), end: Math.ceil(end), limit: 500 });
    for (const device of devices.slice(i, i + ANSWER_SERIES)) ask.append("device", device);
    asks.push(getJson(`/api/v1/chart/events?${ask}`, signal));
  }
  return (await Promise.all(asks)).flat().toSorted((a, b) => a.at - b.at);
}

/** Index of the first time that is not before `at`. */
function firstFrom(times, at) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One series as it is drawn. Rows are [time, low, high, mean, count]; of samples low, high and mean are the value. */
export class Drawn {
  constructor(answer) {
    this.aggregated = answer.level !== "samples";
    this.level = answer.level;
    this.width = answer.width ?? null;
    this.first = answer.series.first ? Date.parse(answer.series.first) || Number(answer.series.first) : null;
    this.last = answer.series.last ? Date.parse(answer.series.last) || Number(answer.series.last) : null;
    this.setRows(answer.points);
    this.other = (answer.other ?? []).map(([time, text]) => [time, String(text)]);
    this.others = answer.others ?? this.other.length;
    // a gap that lasts until now goes on, until a value comes
    this.gaps = (answer.gaps ?? []).map((gap) => ({ ...gap, open: gap.end >= answer.now - OPEN_MS }));
    this.stats = answer.stats ?? null;
  }

  setRows(points) {
    const rows = this.aggregated ? points : points.map(([time, value]) => [time, value, value, value, 1]);
    const good = rows.filter((row) => finite(row[1]) && finite(row[2]) && finite(row[3]));
    const column = (index) => Float64Array.from(good, (row) => row[index]);
    [this.t, this.low, this.high, this.y, this.count] = [0, 1, 2, 3, 4].map(column);
    this.step = this.t.length > 1 && this.y.every((value) => value === 0 || value === 1) && !this.aggregated;
    this.breaks = null;
  }

  /** The middle of a bucket is where its mean is drawn. */
  get shift() {
    return this.width ? this.width / 2 : 0;
  }

  /** For each row but the first: 1 where no line leads to it. */
  cuts() {
    if (this.breaks) return this.breaks;
    const cuts = new Uint8Array(this.t.length);
    for (const gap of this.gaps) {
      for (let i = Math.max(1, firstFrom(this.t, gap.start)); i < this.t.length; i += 1) {
        const before = this.t[i - 1];
        if (before >= gap.end) break;
        const common = Math.min(gap.end, this.t[i]) - Math.max(gap.start, before);
        if (common > (this.t[i] - before) / 2) cuts[i] = 1;
      }
    }
    for (const [time] of this.other) {
      const i = firstFrom(this.t, time);
      if (i > 0 && i < this.t.length && !this.aggregated) cuts[i] = 1;
    }
    this.breaks = cuts;
    return cuts;
  }

  /** The indices of the rows that a window shows, with one more on either side for the line to begin at the edge. */
  between(start, end) {
    const from = Math.max(0, firstFrom(this.t, start - this.shift) - 1);
    return [from, Math.min(this.t.length, firstFrom(this.t, end) + 1)];
  }

  /** [smallest, largest] of what a window shows, null where there is nothing. */
  extent(start, end) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = firstFrom(this.t, start - 2 * this.shift); i < this.t.length && this.t[i] <= end; i += 1) {
      if (this.low[i] < low) low = this.low[i];
      if (this.high[i] > high) high = this.high[i];
    }
    return low <= high ? [low, high] : null;
  }

  /** Index of the row nearest to a time, -1 where there is none within `reach`. */
  nearest(time, reach) {
    const at = time - this.shift;
    const i = firstFrom(this.t, at);
    const left = i > 0 ? at - this.t[i - 1] : Infinity;
    const right = i < this.t.length ? this.t[i] - at : Infinity;
    if (Math.min(left, right) > reach) return -1;
    return right <= left ? i : i - 1;
  }

  /** Now has moved on, and with it the end of a gap that lasts. */
  goOn(now) {
    for (const gap of this.gaps) if (gap.open) gap.end = Math.max(gap.end, now);
  }

  gapAt(time) {
    return this.gaps.find((gap) => gap.start <= time && time <= gap.end) ?? null;
  }

  /** Rows and marks of start ≤ time ≤ end. */
  rowsIn(start, end) {
    const found = [];
    for (let i = firstFrom(this.t, start - 2 * this.shift); i < this.t.length && this.t[i] <= end; i += 1) found.push(i);
    return found;
  }

  /** Folds in what came after the last answer: `answer` covers everything from `since` on. */
  append(answer, since) {
    const tail = new Drawn({ ...answer, points: answer.points.filter(([time]) => time >= since), other: (answer.other ?? []).filter(([time]) => time >= since) });
    const keep = firstFrom(this.t, since);
    const rows = [];
    for (let i = 0; i < keep; i += 1) rows.push([this.t[i], this.low[i], this.high[i], this.y[i], this.count[i]]);
    if (this.aggregated && this.width) rows.push(...folded(tail, this.width, since));
    else if (tail.aggregated) return false; // too much for single samples: all of it is to be read again
    else for (let i = 0; i < tail.t.length; i += 1) rows.push([tail.t[i], tail.low[i], tail.high[i], tail.y[i], 1]);
    this.setRows(this.aggregated ? rows : rows.map(([time, value]) => [time, value]));
    for (const gap of this.gaps) {
      const next = tail.t.find((time) => time > gap.start);
      if (!gap.open || next === undefined) continue;
      Object.assign(gap, { end: next, open: false });
    }
    const before = this.other.filter(([time]) => time < since);
    this.others += before.length + tail.other.length - this.other.length;
    this.other = [...before, ...tail.other];
    this.last = Math.max(this.last ?? -Infinity, tail.last ?? -Infinity);
    const lastOne = tail.stats?.last ?? this.stats?.last ?? null;
    this.stats = this.summary(lastOne);
    return true;
  }

  /** Forgets what has slid out of the window, all but one row for the line's begin. */
  trim(start) {
    const from = firstFrom(this.t, start - this.shift * 2) - 1;
    if (from < 1) return;
    for (const name of ["t", "low", "high", "y", "count"]) this[name] = this[name].subarray(from);
    this.breaks = null;
    this.others -= this.other.filter(([time]) => time < start).length;
    this.other = this.other.filter(([time]) => time >= start);
    this.gaps = this.gaps.filter((gap) => gap.end > start);
    this.stats = this.summary(this.stats?.last ?? null, start);
  }

  /** Mean, smallest, largest, number: of what is here. */
  summary(last, start = -Infinity) {
    let [count, min, max, mean] = [0, Infinity, -Infinity, 0];
    for (let i = firstFrom(this.t, start); i < this.t.length; i += 1) {
      count += this.count[i];
      mean += (this.y[i] - mean) * (this.count[i] / count);
      min = Math.min(min, this.low[i]);
      max = Math.max(max, this.high[i]);
    }
    if (!count) return null;
    return { count, min, max, mean, last: last ?? this.y.at(-1) };
  }
}

/** Finer rows put into buckets of `width` that begin at `origin` plus whole widths. */
function folded(tail, width, origin) {
  const buckets = new Map();
  for (let i = 0; i < tail.t.length; i += 1) {
    const start = origin + Math.floor((tail.t[i] - origin) / width) * width;
    const bucket = buckets.get(start);
    if (!bucket) buckets.set(start, [start, tail.low[i], tail.high[i], tail.y[i], tail.count[i]]);
    else {
      bucket[1] = Math.min(bucket[1], tail.low[i]);
      bucket[2] = Math.max(bucket[2], tail.high[i]);
      bucket[4] += tail.count[i];
      bucket[3] += (tail.y[i] - bucket[3]) * (tail.count[i] / bucket[4]);
    }
  }
  return [...buckets.values()];
}

/** "asleep: 3 times, 2 h 10 min" for each reason that occurs in the window; what several series share is one time. */
export function reasonTotals(all, start, end) {
  const totals = new Map();
  const inside = (gap) => ({ reason: gap.reason, start: Math.max(gap.start, start), end: Math.min(gap.end, end) });
  const gaps = all.flatMap((drawn) => drawn.gaps.map(inside)).filter((gap) => gap.end > gap.start).sort((a, b) => a.start - b.start);
  for (const gap of gaps) {
    const total = totals.get(gap.reason) ?? { times: 0, length: 0, until: -Infinity };
    if (gap.start > total.until) total.times += 1;
    total.length += Math.max(0, gap.end - Math.max(gap.start, total.until));
    total.until = Math.max(total.until, gap.end);
    totals.set(gap.reason, total);
  }
  return [...totals].map(([reason, { times, length }]) => ({
    reason,
    text: `${REASONS[reason] ?? reason}: ${times === 1 ? "once" : `${times} times`}, ${lasting(length)}`,
  }));
}
