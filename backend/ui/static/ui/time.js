// Relative times that tick, with the exact time and its zone on hover, in the browser's own zone.

const EXACT = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const YEAR = 365.25 * 86400;

// ages are told by the server's clock: a browser whose clock is off must not make a device look silent
const told = Date.parse(document.documentElement.dataset.now ?? "");
const offset = Number.isNaN(told) ? 0 : told - Date.now();
const skew = Math.abs(offset) > 2000 ? offset : 0;

/** Now, by the server's clock: milliseconds since 1970. */
export function serverNow() {
  return Date.now() + skew;
}

/** "just now", "12 s ago", "in 3 min": the distance from now in one unit. */
export function relative(then, now = serverNow()) {
  const seconds = Math.round((now - then) / 1000);
  const distance = Math.abs(seconds);
  if (distance < 2) return "just now";
  let text;
  if (distance < 60) text = `${distance} s`;
  else if (distance < 3600) text = `${Math.floor(distance / 60)} min`;
  else if (distance < 48 * 3600) text = `${Math.floor(distance / 3600)} h`;
  else if (distance < 2 * YEAR) text = `${Math.floor(distance / 86400)} days`;
  // clocks of devices may be far off
  else text = `${Math.floor(distance / YEAR)} years`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

/** The whole time with its zone, in the reader's own. */
export function exactly(then) {
  return EXACT.format(new Date(then));
}

/** For "the newest is of …": how long ago, or where a clock runs ahead the time that it says. */
export function dated(then, now = serverNow()) {
  return then - now < 60_000 ? relative(then, now) : `${exactly(then)}, in the future: a clock is ahead`;
}

/** The time of day, with the day where it is another one. */
export function clockTime(then, now = serverNow()) {
  const date = new Date(then);
  return (date.toDateString() === new Date(now).toDateString() ? HOUR : DAY).format(date);
}

/** Brings every <time data-time> in `root` to now. */
export function tick(root = document) {
  const now = serverNow();
  for (const element of root.querySelectorAll("time[data-time]")) {
    const then = Date.parse(element.dateTime);
    if (Number.isNaN(then)) continue;
    const texts = { exact: exactly, clock: clockTime };
    const text = (texts[element.dataset.time] ?? relative)(then, now);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = [exactly(then), element.dataset.note].filter(Boolean).join("\n");
  }
}

/** Ticks once a second while somebody looks. */
export function startTicking() {
  tick();
  setInterval(() => {
    if (!document.hidden) tick();
  }, 1000);
}
