// The map on a canvas: water, land, graticule, tracks, marks. Colours are those of the page's theme.

import { unproject } from "./map-view.js";

const STEPS = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 5e-4, 2e-4, 1e-4];
const LINE_PX = 110; // between two lines of the graticule
const OLD_MS = 24 * 3600 * 1000;
const EDGE = 20000; // what lies farther outside is drawn as if it were there: canvases count in short numbers
const TURN = 2 * Math.PI;

// as in icons.svg, 12 by 12
const SHAPES = {
  online: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1z",
  asleep: "M10.800 7.600A5 5 0 0 1 4.400 1.200a5 5 0 1 0 6.400 6.400z",
  offline: "M6 .8 11.600 11H.4z",
  never_seen: "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1zm0 1.700a3.300 3.300 0 1 1 0 6.600 3.300 3.300 0 0 1 0-6.600z",
  blocked: "M1 1h10v10H1zm1.900 3.900v2.200h6.200V4.900z",
};
const TOKENS = { online: "ok", asleep: "sleep", offline: "warn", never_seen: "none", blocked: "bad" };
export const STATUSES = Object.keys(SHAPES);

export function palette() {
  const style = getComputedStyle(document.documentElement);
  const token = (name) => style.getPropertyValue(`--fn-${name}`).trim();
  return {
    water: token("sunken"), land: token("surface"), line: token("line"), coast: token("line-strong"), text: token("text"),
    muted: token("muted"), surface: token("surface"), accent: token("accent"),
    status: Object.fromEntries(STATUSES.map((status) => [status, token(TOKENS[status])])),
  };
}

const shapes = Object.fromEntries(STATUSES.map((status) => [status, new Path2D(SHAPES[status])]));
const bounded = (pixels) => Math.max(-EDGE, Math.min(EDGE, pixels));

/** How large a mark is on the screen: pixels from its middle. */
export function radiusOf(mark) {
  const number = mark.places.length;
  return number === 1 ? 9 : 13 + Math.min(13, 4 * Math.log10(number));
}

function drawLand(context, view, rings, colours) {
  context.beginPath();
  const seen = view.copies();
  // rings go on beyond the edges of their own copy
  for (let copy = seen[0] - 1; copy <= seen.at(-1) + 1; copy += 1) {
    for (const ring of rings) {
      for (let index = 0; index < ring.length; index += 2) {
        const left = bounded(view.left(ring[index], copy));
        const top = bounded(view.top(ring[index + 1]));
        if (index) context.lineTo(left, top);
        else context.moveTo(left, top);
      }
      context.closePath();
    }
  }
  context.fillStyle = colours.land;
  context.fill("evenodd");
  context.strokeStyle = colours.coast;
  context.lineWidth = 0.7;
  context.stroke();
}

function degrees(value, letters, digits) {
  if (Math.abs(value) === 180) return "180°";
  const letter = value > 0 ? letters[0] : value < 0 ? letters[1] : "";
  return `${Math.abs(value).toFixed(digits)}°${letter}`;
}

function drawGraticule(context, view, colours) {
  const wanted = (LINE_PX * 360) / view.scale;
  const step = STEPS.findLast((one) => one >= wanted) ?? STEPS[0];
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  const west = (view.at(0, 0).x - 0.5) * 360;
  const east = (view.at(view.width, 0).x - 0.5) * 360;
  const north = unproject(0, view.at(0, 0).y).latitude;
  const south = unproject(0, view.at(0, view.height).y).latitude;
  const names = [];
  context.beginPath();
  for (let index = Math.ceil(west / step); index * step <= east; index += 1) {
    const left = Math.round(view.left((index * step) / 360 + 0.5)) + 0.5;
    context.moveTo(left, 0);
    context.lineTo(left, view.height);
    const longitude = ((((index * step + 180) % 360) + 360) % 360) - 180;
    names.push([degrees(longitude, "EW", digits), left + 3, view.height - 5]);
  }
  for (let index = Math.ceil(south / step); index * step <= north; index += 1) {
    const latitude = index * step;
    const sine = Math.sin((latitude * Math.PI) / 180);
    if (Math.abs(sine) > 0.9963) continue;
    const top = Math.round(view.top(0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI))) + 0.5;
    context.moveTo(0, top);
    context.lineTo(view.width, top);
    if (top < view.height - 60) names.push([degrees(latitude, "NS", digits), 4, top - 3]);
  }
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.stroke();
  context.fillStyle = colours.muted;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  for (const [text, left, top] of names) context.fillText(text, left, top);
}

function drawTrack(context, view, track, colours) {
  for (const copy of view.copies()) {
    context.beginPath();
    let before = null;
    for (const place of track) {
      const left = bounded(view.left(place.x, copy));
      const top = bounded(view.top(place.y));
      // over the edge of the world: a new line, not one around all of it
      if (before === null || Math.abs(place.x - before.x) > 0.5) context.moveTo(left, top);
      else context.lineTo(left, top);
      before = place;
    }
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.stroke();
    context.fillStyle = colours.accent;
    track.forEach((place, index) => {
      const left = view.left(place.x, copy);
      const top = view.top(place.y);
      if (left < -5 || top < -5 || left > view.width + 5 || top > view.height + 5) return;
      context.globalAlpha = 0.35 + (0.65 * (index + 1)) / track.length;
      context.beginPath();
      context.arc(left, top, 2.5, 0, TURN);
      context.fill();
    });
    context.globalAlpha = 1;
  }
}

function drawSingle(context, left, top, place, colours, strong) {
  context.save();
  context.translate(left, top);
  if (Date.now() - place.time > OLD_MS) context.globalAlpha = 0.6;
  const size = strong ? 1.5 : 1.15;
  context.scale(size, size);
  context.translate(-6, -6);
  const shape = shapes[place.status] ?? shapes.never_seen;
  context.lineJoin = "round";
  context.strokeStyle = colours.surface;
  context.lineWidth = 3;
  context.stroke(shape);
  context.fillStyle = colours.status[place.status] ?? colours.muted;
  context.fill(shape, "evenodd");
  context.restore();
  if (!strong) return;
  context.beginPath();
  context.arc(left, top, 14, 0, TURN);
  context.strokeStyle = colours.accent;
  context.lineWidth = 2;
  context.stroke();
}

function drawCluster(context, left, top, mark, colours, strong) {
  const radius = radiusOf(mark);
  context.beginPath();
  context.arc(left, top, radius, 0, TURN);
  context.fillStyle = colours.surface;
  context.fill();
  // a ring of the shares of each status
  let from = -TURN / 4;
  for (const status of STATUSES) {
    const share = (mark.counts[status] ?? 0) / mark.places.length;
    if (!share) continue;
    context.beginPath();
    context.arc(left, top, radius - 2, from, from + share * TURN);
    context.strokeStyle = colours.status[status];
    context.lineWidth = 4;
    context.stroke();
    from += share * TURN;
  }
  if (strong) {
    context.beginPath();
    context.arc(left, top, radius + 3, 0, TURN);
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.stroke();
  }
  const number = mark.places.length;
  context.fillStyle = colours.text;
  context.font = "600 11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(number < 10_000 ? String(number) : `${Math.floor(number / 1000)}k`, left, top + 0.5);
}

/** Everything; how many marks were on the screen. */
export function draw(context, view, { land, marks, track, hovered, chosen, colours }) {
  context.fillStyle = colours.water;
  context.fillRect(0, 0, view.width, view.height);
  if (land) drawLand(context, view, land, colours);
  drawGraticule(context, view, colours);
  if (track.length) drawTrack(context, view, track, colours);
  let shown = 0;
  const late = [];
  for (const copy of view.copies()) {
    for (const mark of marks) {
      const left = view.left(mark.x, copy);
      const top = view.top(mark.y);
      if (left < -30 || top < -30 || left > view.width + 30 || top > view.height + 30) continue;
      shown += 1;
      const strong = mark === hovered || (chosen !== null && mark.places.includes(chosen));
      const one = () =>
        mark.places.length === 1
          ? drawSingle(context, left, top, mark.places[0], colours, strong)
          : drawCluster(context, left, top, mark, colours, strong);
      if (strong) late.push(one);
      else one();
    }
  }
  late.forEach((one) => one());
  return shown;
}
