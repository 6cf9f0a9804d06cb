// Time on charts: ranges as the address writes them, ticks at round local times (also on the day of a clock change), spans.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS = { s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY, y: 365 * DAY };
export const SHORTEST = 1000;
export const LONGEST = 50 * UNITS.y;

// [length, kind, number of them]
const STEPS = [
  ...[10, 20, 50, 100, 200, 500].map((n) => [n, "ms", n]),
  ...[1, 2, 5, 10, 15, 30].map((n) => [n * SECOND, "ms", n * SECOND]),
  ...[1, 2, 5, 10, 15, 30].map((n) => [n * MINUTE, "ms", n * MINUTE]),
  [HOUR, "ms", HOUR],
  ...[2, 3, 6, 12].map((n) => [n * HOUR, "hour", n]),
  ...[1, 2, 7].map((n) => [n * DAY, "day", n]),
  ...[1, 2, 3, 6].map((n) => [n * 30.4 * DAY, "month", n]),
  ...[1, 2, 5, 10, 20].map((n) => [n * 365 * DAY, "year", n]),
];

const cycle = { hourCycle: "h23" };
const HM = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", ...cycle });
const HMS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", ...cycle });
const HMSF = new Intl.DateTimeFormat(undefined, { minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const DAY_MONTH = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WITH_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const MONTH = new Intl.DateTimeFormat(undefined, { month: "short" });
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short", ...cycle,
});

const offsetOf = (time) => new Date(time).getTimezoneOffset() * MINUTE;

/** "CET": what the reader's zone is called at that time. */
export function zoneOf(time) {
  return ZONE.formatToParts(new Date(time)).find((part) => part.type === "timeZoneName")?.value ?? "";
}

/** The whole time with milliseconds and zone. */
export function exactTime(time) {
  return EXACT.format(new Date(time));
}

/** The same beside another one that is shown in full: of one day, the time of day is enough. */
export function timeBeside(time, other) {
  const same = new Date(time).toDateString() === new Date(other).toDateString();
  return same ? `${HMS.format(new Date(time))}.${String(new Date(time).getMilliseconds()).padStart(3, "0")}` : exactTime(time);
}

/** "24h" → milliseconds; null where it is no range. */
export function rangeMs(text) {
  const match = /^([1-9]\d{0,6})([smhdwy])$/.exec(text ?? "");
  if (!match) return null;
  return Math.min(Math.max(Number(match[1]) * UNITS[match[2]], SHORTEST), LONGEST);
}

/** Milliseconds → the shortest text that says them to the second: 90 min → "90m". */
export function rangeText(ms) {
  const seconds = Math.max(1, Math.round(ms / SECOND));
  if (seconds * SECOND === DAY) return "24h"; // as the button says it
  for (const [letter, length] of [["y", UNITS.y], ["d", DAY], ["h", HOUR], ["m", MINUTE]]) {
    if ((seconds * SECOND) % length === 0) return `${(seconds * SECOND) / length}${letter}`;
  }
  return `${seconds}s`;
}

/** "2 h 10 min": how long something lasts, in at most two units. */
export function lasting(ms) {
  const parts = [];
  let left = Math.round(ms / SECOND);
  if (left < 1) return `${Math.round(ms)} ms`;
  for (const [name, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const many = Math.floor(left / length);
    if (many) parts.push(`${many} ${name}`);
    left -= many * length;
    if (parts.length === 2 || (parts.length === 1 && !many)) break;
  }
  return parts.join(" ");
}

/** "23 Nov 2026, 10:00 – 12:00 CET". */
export function spanText(start, end) {
  const fine = end - start < 10 * MINUTE ? HMS : HM;
  const from = new Date(start);
  const to = new Date(end);
  const [zone, later] = [zoneOf(start), zoneOf(end)];
  const first = `${WITH_YEAR.format(from)}, ${fine.format(from)}${zone === later ? "" : ` ${zone}`}`;
  const last = from.toDateString() === to.toDateString() ? fine.format(to) : `${WITH_YEAR.format(to)}, ${fine.format(to)}`;
  return `${first} – ${last} ${later}`;
}

/** For <input type=datetime-local>, in the reader's zone. */
export function localInput(time) {
  return new Date(time - offsetOf(time)).toISOString().slice(0, 19);
}

/** Part of a file's name: 20261122T1700. */
export function stampText(time) {
  return new Date(time - offsetOf(time)).toISOString().slice(0, 16).replace(/[-:]/g, "");
}

/** The times of round steps of at most an hour; the zone's offset decides what is round (half hours, say). */
function byLength(start, end, step) {
  const found = [];
  let offset = offsetOf(start);
  let at = Math.ceil((start - offset) / step) * step + offset;
  while (at <= end && found.length < 1000) {
    found.push(at);
    at += step;
    if (offsetOf(at) !== offset) {
      offset = offsetOf(at);
      at = Math.ceil((at - offset) / step) * step + offset;
    }
  }
  return found;
}

/** Round local hours, days, months, years: counted on the calendar, so that a day of 23 or 25 hours is one day. */
function byCalendar(start, end, kind, many) {
  const found = [];
  const first = new Date(start);
  const [y, m, d] = [first.getFullYear(), first.getMonth(), first.getDate()];
  const dayNumber = Math.floor((Date.UTC(y, m, d) / DAY + 3) / many) * many - 3; // weeks begin on Monday
  const makers = {
    hour: (i) => new Date(y, m, d, i * many),
    day: (i) => new Date(1970, 0, 1 + dayNumber + i * many),
    month: (i) => new Date(y, Math.floor(m / many) * many + i * many, 1),
    year: (i) => new Date(Math.floor(y / many) * many + i * many, 0, 1),
  };
  for (let i = 0; i < 1000; i += 1) {
    const at = makers[kind](i).getTime();
    if (at > end) break;
    if (at >= start && at !== found.at(-1)) found.push(at);
  }
  return found;
}

const midnight = (date) => !date.getHours() && !date.getMinutes() && !date.getSeconds() && !date.getMilliseconds();

/** Ticks with one or two lines of text: [{value, label: ["10:00", "23 Nov"]}], at most about `most`. */
export function timeTicks(start, end, most) {
  const [step, kind, many] = STEPS.find(([length]) => (end - start) / length <= most) ?? STEPS.at(-1);
  const times = kind === "ms" ? byLength(start, end, many) : byCalendar(start, end, kind, many);
  let day = null;
  let offset = null;
  return times.map((value) => {
    const date = new Date(value);
    const lines = [];
    if (kind === "year") lines.push(String(date.getFullYear()));
    else if (kind === "month") {
      lines.push(MONTH.format(date));
      if (day === null || new Date(day).getFullYear() !== date.getFullYear()) lines.push(String(date.getFullYear()));
    } else if (kind === "day") {
      lines.push(DAY_MONTH.format(date));
      if (day === null || new Date(day).getFullYear() !== date.getFullYear()) lines.push(String(date.getFullYear()));
    } else {
      lines.push(step < SECOND ? HMSF.format(date) : step < MINUTE ? HMS.format(date) : HM.format(date));
      const notes = [];
      if (day === null || new Date(day).toDateString() !== date.toDateString() || midnight(date)) notes.push(DAY_MONTH.format(date));
      // the same hour twice, or one that is left out: the zone's name says which this is
      if (offset !== null && offset !== offsetOf(value)) notes.push(zoneOf(value));
      if (notes.length) lines.push(notes.join(" "));
    }
    day = value;
    offset = offsetOf(value);
    return { value, label: lines };
  });
}
