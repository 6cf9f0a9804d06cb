// What is shown, as files: a picture with title, range and legend, and CSV with exactly the rows that are drawn.

import { reasonTotals } from "./chart-data.js";
import { COLOURS, colourOf, colours, glyph, patternOf } from "./chart-draw.js";
import { spanText, stampText } from "./chart-time.js";

const LINE = 18;
const EDGE = 16;

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** "sim-1_3303-0-5700_20261122T1600-20261122T1700.csv". */
export function fileName(panel, kind) {
  const [start, end] = panel.board.window();
  const [first] = panel.series;
  const given = (panel.title?.value ?? panel.title?.textContent ?? "").trim();
  const what = given || (panel.series.length === 1 ? `${first.device}_${first.path.slice(1)}` : `${panel.devices.length === 1 ? panel.devices[0] : `${panel.devices.length}-devices`}_${panel.series.length}-series`);
  const safe = what.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 80) || "chart";
  return `${safe}_${stampText(start)}-${stampText(end)}.${kind}`;
}

function cell(value) {
  const text = String(value ?? "");
  // a spreadsheet must not take a device's name for a formula
  const plain = /^[=+@\t\r]/.test(text) || (/^-/.test(text) && Number.isNaN(Number(text))) ? `'${text}` : text;
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** The rows of the window, series by series; times in UTC. */
export function csvText(panel) {
  const [start, end] = panel.board.window();
  const lines = [["time", "device", "path", "name", "unit", "kind", "value", "min", "max", "count", "bucket_seconds"]];
  for (const one of panel.visible) {
    const { drawn } = one;
    if (!drawn) continue;
    const about = [one.device, one.path, one.name, one.unit];
    const rows = drawn.rowsIn(start, end).map((i) => {
      const time = drawn.t[i];
      const seconds = drawn.width ? drawn.width / 1000 : { minute: 60, hour: 3600, day: 86400 }[drawn.level];
      return drawn.aggregated
        ? [time, ...about, "mean", drawn.y[i], drawn.low[i], drawn.high[i], drawn.count[i], seconds]
        : [time, ...about, "sample", drawn.y[i], "", "", "", ""];
    });
    for (const [time, text] of drawn.other) if (time >= start && time <= end) rows.push([time, ...about, "no number", text, "", "", "", ""]);
    rows.sort((a, b) => a[0] - b[0]);
    for (const [time, ...rest] of rows) lines.push([isoOf(time), ...rest]);
  }
  return `${lines.map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** UTC, to the microsecond where a sample's time has them. */
function isoOf(time) {
  const floor = Math.floor(time);
  const micros = Math.round((time - floor) * 1000);
  const text = new Date(floor).toISOString();
  return micros ? text.replace("Z", `${String(micros).padStart(3, "0")}Z`) : text;
}

export function saveCsv(panel) {
  save(new Blob([csvText(panel)], { type: "text/csv;charset=utf-8" }), fileName(panel, "csv"));
}

/** The chart on the page's own background, with what explains it. */
export function picture(panel) {
  const source = panel.chart.canvas;
  const wide = source.clientWidth;
  const ratio = source.width / wide;
  const tones = colours();
  const [start, end] = panel.board.window();
  const series = panel.visible;
  const reasons = reasonTotals(series.map((one) => one.drawn).filter(Boolean), start, end);
  const columns = Math.max(1, Math.min(3, Math.floor(wide / 330)));
  const events = panel.eventCounts();
  const rows = Math.ceil(series.length / columns);
  const top = EDGE + 2 * LINE + 12;
  const high = top + source.clientHeight + 12 + rows * LINE + (reasons.length + events.length ? LINE + 6 : 0) + EDGE;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((wide + 2 * EDGE) * ratio);
  canvas.height = Math.round(high * ratio);
  const ctx = canvas.getContext("2d");
  ctx.scale(ratio, ratio);
  ctx.fillStyle = tones.surface;
  ctx.fillRect(0, 0, wide + 2 * EDGE, high);
  const family = getComputedStyle(document.body).fontFamily;
  const write = (text, x, y, { size = 12, weight = 400, colour = tones.text, width = wide } = {}) => {
    ctx.font = `${weight} ${size}px ${family}`;
    ctx.fillStyle = colour;
    ctx.fillText(text, x, y, width);
  };
  write(panel.titleText, EDGE, EDGE + 14, { size: 16, weight: 650 });
  write(spanText(start, end), EDGE, EDGE + 14 + LINE, { colour: tones.muted });
  ctx.drawImage(source, EDGE, top, wide, source.clientHeight);
  let y = top + source.clientHeight + 12;
  series.forEach((one, i) => {
    const x = EDGE + (i % columns) * (wide / columns);
    const at = y + Math.floor(i / columns) * LINE + 11;
    ctx.strokeStyle = colourOf(one.index);
    ctx.lineWidth = 3;
    ctx.setLineDash(one.index >= COLOURS ? [6, 4] : []);
    ctx.beginPath();
    ctx.moveTo(x, at - 4);
    ctx.lineTo(x + 18, at - 4);
    ctx.stroke();
    ctx.setLineDash([]);
    write(`${one.device} ${one.name} ${one.path}${one.unit ? ` (${one.unit})` : ""}`, x + 24, at, { width: wide / columns - 34 });
  });
  y += rows * LINE + 6;
  let x = EDGE;
  for (const { reason, text } of reasons) {
    ctx.fillStyle = patternOf(ctx, reason);
    ctx.fillRect(x, y, 14, 14);
    ctx.fillRect(x, y, 14, 14);
    write(text, x + 20, y + 11, { colour: tones.muted });
    x += 20 + ctx.measureText(text).width + 18;
  }
  for (const { group, text } of events) {
    glyph(ctx, group, x + 7, y + 7);
    write(text, x + 18, y + 11, { colour: tones.muted });
    x += 18 + ctx.measureText(text).width + 18;
  }
  return canvas;
}

export function savePicture(panel) {
  picture(panel).toBlob((blob) => save(blob, fileName(panel, "png")), "image/png");
}
