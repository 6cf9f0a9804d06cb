// One line, one loss, one separator of a log stream as elements; and a line as text.

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const SECOND = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const EXACT = new Intl.DateTimeFormat(undefined, {
  weekday: "short", year: "numeric", month: "short", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23", timeZoneName: "short",
});
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", year: "numeric", month: "short", day: "numeric" });
const HUES = 18;
const SHOWN_AT_ONCE = 1000;
const LATE_US = 5_000_000; // what came longer after it was logged is said to be late
const SHORT = { 0: "raw", 1: "err", 2: "wrn", 3: "inf", 4: "dbg" }; // as Zephyr prints them

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** One of HUES, always the same for a name (FNV-1a). */
export function hue(name) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash % HUES;
}

/** Without the difference between A and a, for ASCII letters only, as the server searches; the length stays. */
export function folded(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

// colour codes of terminals, and single control characters; tabs and line ends are what they are
const CONTROL = /(\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f])/;

function escaped(text) {
  return text.replace(/[\u0000-\u001f\u007f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Text with control characters written out: nothing vanishes, nothing runs. */
function append(cell, text) {
  if (!CONTROL.test(text)) {
    cell.append(text);
    return;
  }
  text.split(CONTROL).forEach((part, index) => {
    if (index % 2) cell.append(element("span", "ln-control", escaped(part)));
    else if (part) cell.append(part);
  });
}

/** `text` into `cell`, with every occurrence of `search` marked. */
export function put(cell, text, search) {
  if (!search) {
    append(cell, text);
    return;
  }
  const hay = folded(text);
  const needle = folded(search);
  let from = 0;
  for (let at = hay.indexOf(needle); at >= 0; at = hay.indexOf(needle, from)) {
    if (at > from) append(cell, text.slice(from, at));
    const mark = element("mark");
    append(mark, text.slice(at, at + needle.length));
    cell.append(mark);
    from = at + needle.length;
  }
  if (from < text.length) append(cell, text.slice(from));
}

const milliseconds = (microseconds) => microseconds / 1000;

export const iso = (microseconds) => new Date(Math.floor(milliseconds(microseconds))).toISOString();

/** Milliseconds since the boot: "1:02:03.004", with days before it where there are any. */
export function uptimeText(uptime) {
  const pad = (number, digits) => String(number).padStart(digits, "0");
  const seconds = Math.floor(uptime / 1000);
  const days = Math.floor(seconds / 86400);
  const clock = `${pad(Math.floor(seconds / 3600) % 24, 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}.${pad(uptime % 1000, 3)}`;
  return days ? `${days} d ${clock}` : clock;
}

export function spanText(microseconds) {
  const seconds = Math.round(microseconds / 1e6);
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

export const isLate = (line) => line.received - line.time > LATE_US;

/** The exact time and where on the device it was: on hover, and in the details. */
export function whenText(line) {
  const parts = [EXACT.format(milliseconds(line.time))];
  if (line.uptime !== null) parts.push(`${uptimeText(line.uptime)} after the start of boot ${line.boot}, line ${line.sequence}`);
  if (isLate(line)) parts.push(`received ${spanText(line.received - line.time)} later`);
  return parts.join("\n");
}

/** When we had it, and how much later that was. */
export function receivedText(line) {
  const exact = EXACT.format(milliseconds(line.received));
  const delay = line.received - line.time;
  return delay < 1_000_000 ? exact : `${exact}, ${spanText(delay)} after it was logged`;
}

/** One line of a text file: time in UTC. */
export function asText(line) {
  const uptime = line.uptime === null ? "" : ` [${uptimeText(line.uptime)}]`;
  const module = line.module ? ` ${line.module}:` : "";
  return `${iso(line.time)} ${line.device}${uptime} <${SHORT[line.severity] ?? line.severity}>${module} ${line.text}`;
}

export class Rows {
  /** `severities`: names by number; `single`: lines of one device only. */
  constructor({ severities, single }) {
    this.severities = severities;
    this.single = single;
  }

  deviceCell(name) {
    const cell = element("span", `ln-dev hue-${hue(name)}`, name);
    cell.title = name;
    return cell;
  }

  line(line, search) {
    const row = element("li", `ln sev-${line.severity}${isLate(line) ? " late" : ""}`);
    const time = element("button", "ln-time", TIME.format(milliseconds(line.time)));
    time.type = "button";
    time.tabIndex = -1;
    time.setAttribute("aria-expanded", "false");
    row.append(time);
    if (!this.single) row.append(this.deviceCell(line.device));
    row.append(element("span", "ln-sev", this.severities[line.severity] ?? `Level ${line.severity}`));
    const module = element("span", "ln-mod", line.module);
    if (line.module.length > 12) module.title = line.module;
    const text = element("span", "ln-text");
    if (line.severity === 0) text.append(element("em", "ln-why", `${line.problem || "Not a log message of the format"}; kept as it came: `));
    const short = line.text.length > SHOWN_AT_ONCE || line.size;
    put(text, short ? line.text.slice(0, SHOWN_AT_ONCE) : line.text, search);
    if (short) {
      const size = line.size ?? line.text.length;
      const inside = search && !folded(line.text.slice(0, SHOWN_AT_ONCE)).includes(folded(search));
      const more = element("button", "ln-more", `… ${(size - SHOWN_AT_ONCE).toLocaleString()} more characters${inside ? ", the match among them" : ""}`);
      more.type = "button";
      text.append(more);
    }
    row.append(module, text);
    return row;
  }

  loss(loss) {
    const row = element("li", `ln-note ln-loss loss-${loss.reason}`);
    const number = loss.last - loss.first + 1;
    const what = element("span", "ln-what", loss.text);
    row.append(element("span", "ln-time", SECOND.format(milliseconds(loss.time))));
    if (!this.single) row.append(this.deviceCell(loss.device));
    const numbers = number === 1 ? `number ${loss.first}` : `numbers ${loss.first} to ${loss.last}`;
    row.title = `${EXACT.format(milliseconds(loss.time))}\nboot ${loss.boot}, ${numbers}`;
    row.append(what, element("span", "ln-advice", ADVICE[loss.reason] ?? ""));
    return row;
  }

  moment(microseconds) {
    const row = element("li", "ln-note ln-at");
    row.append(element("span", "ln-time", TIME.format(milliseconds(microseconds))), element("span", "ln-what", "This is the moment"));
    row.title = EXACT.format(milliseconds(microseconds));
    return row;
  }

  /** What stands before a line where a day or a boot begins. */
  separator({ day, boot }) {
    const holder = element("li", "ln-sep");
    if (day) holder.append(element("span", "ln-day", day));
    if (boot) {
      const row = element("span", "ln-boot");
      if (!this.single) row.append(this.deviceCell(boot.device));
      const name = element("span");
      name.append(element("b", "", `boot ${boot.boot}`));
      // none of its lines is here: nobody knows when it began
      if (boot.started !== null) name.append(`, ${SECOND.format(milliseconds(boot.started))}`);
      row.append(name);
      row.title = `The device started anew${boot.started === null ? "" : `: ${EXACT.format(milliseconds(boot.started))}`}`;
      holder.append(row);
    }
    return holder;
  }

  day(microseconds) {
    return DAY.format(milliseconds(microseconds));
  }
}

const ADVICE = {
  device: "Its memory for lines was full before it could send: log less (the level), send more often, or give it a larger buffer (CONFIG_FLOWNEXUS_LOGS_RING_SIZE in our Zephyr application).",
  missing: "The device may still send them: they would appear here.",
  rate: "Log less (the level on the device), or allow more lines a minute in its profile.",
  space: "Allow more MiB in the device's profile, or log less (the level on the device).",
};
