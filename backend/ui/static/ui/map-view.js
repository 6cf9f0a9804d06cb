// Where a place on Earth is on the screen: Web Mercator (the world is a square of 1 by 1, x to the east, y to the south),
// a view of it, and the outline of land.

const MAX_LATITUDE = 85.0511287798; // there the square ends
const EQUATOR_M = 40_075_016.686;
const TILE = 256; // pixels of the world at zoom 0
export const MOST_ZOOM = 21;

/** Latitude and longitude in degrees as a place in the square. */
export function project(latitude, longitude) {
  const bounded = Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, latitude));
  const sine = Math.sin((bounded * Math.PI) / 180);
  return { x: longitude / 360 + 0.5, y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) };
}

/** And back; the longitude from -180 to 180. */
export function unproject(x, y) {
  const latitude = (360 / Math.PI) * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - 90;
  return { latitude, longitude: (x - Math.floor(x)) * 360 - 180 };
}

/** The part of the world that is on the screen. */
export class View {
  constructor() {
    this.x = 0.5;
    this.y = 0.45;
    this.zoom = 1;
    this.width = 1;
    this.height = 1;
  }

  /** Pixels of the whole world. */
  get scale() {
    return TILE * 2 ** this.zoom;
  }

  get leastZoom() {
    return Math.log2(Math.max(this.width, 300) / TILE) - 0.35;
  }

  resize(width, height) {
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
    this.bound();
  }

  bound() {
    this.zoom = Math.max(this.leastZoom, Math.min(MOST_ZOOM, this.zoom));
    this.x -= Math.floor(this.x);
    const half = Math.min(0.5, this.height / 2 / this.scale);
    this.y = Math.max(half, Math.min(1 - half, this.y));
  }

  left(x, copy = 0) {
    return (x + copy - this.x) * this.scale + this.width / 2;
  }

  top(y) {
    return (y - this.y) * this.scale + this.height / 2;
  }

  /** The square's place under a pixel. */
  at(left, top) {
    return { x: this.x + (left - this.width / 2) / this.scale, y: this.y + (top - this.height / 2) / this.scale };
  }

  /** The copies of the world that can be seen: it goes on to the east and to the west. */
  copies() {
    const from = Math.floor(this.at(0, 0).x);
    const to = Math.floor(this.at(this.width, 0).x);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  }

  pan(right, down) {
    this.x -= right / this.scale;
    this.y -= down / this.scale;
    this.bound();
  }

  /** What is under the pixel stays there. */
  zoomBy(steps, left = this.width / 2, top = this.height / 2) {
    const before = this.at(left, top);
    this.zoom = Math.max(this.leastZoom, Math.min(MOST_ZOOM, this.zoom + steps));
    const after = this.at(left, top);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.bound();
  }

  /** All of these places, the short way around the world. */
  fit(places, { most = 15, margin = 48 } = {}) {
    if (!places.length) return;
    const xs = places.map((place) => place.x - Math.floor(place.x)).sort((a, b) => a - b);
    // the widest empty stretch is left out
    let widest = xs[0] + 1 - xs.at(-1);
    let begin = xs[0];
    for (let index = 1; index < xs.length; index += 1) {
      if (xs[index] - xs[index - 1] <= widest) continue;
      widest = xs[index] - xs[index - 1];
      begin = xs[index];
    }
    const spanX = Math.max(1 - widest, 1e-9);
    let north = 1;
    let south = 0;
    for (const place of places) {
      north = Math.min(north, place.y);
      south = Math.max(south, place.y);
    }
    const spanY = Math.max(south - north, 1e-9);
    const wide = Math.max(this.width - 2 * margin, 50) / spanX;
    const high = Math.max(this.height - 2 * margin, 50) / spanY;
    this.zoom = Math.min(most, Math.log2(Math.min(wide, high) / TILE));
    this.x = begin + spanX / 2;
    this.y = (north + south) / 2;
    this.bound();
  }

  /** Metres of a pixel in the middle. */
  get metres() {
    const { latitude } = unproject(this.x, this.y);
    return (EQUATOR_M * Math.cos((latitude * Math.PI) / 180)) / this.scale;
  }
}

/** A ring that goes over the 180th meridian goes on beyond the square, instead of back through all of it. */
function unrolled(points) {
  let turns = 0;
  const made = points.map(([x, y], index) => {
    const step = index ? x - points[index - 1][0] : 0;
    if (step > 0.5) turns -= 1;
    else if (step < -0.5) turns += 1;
    return [x + turns, y];
  });
  // once around the world: that is Antarctica, which is closed along the southern edge
  if (turns) made.push([made.at(-1)[0], 1], [made[0][0], 1]);
  return made;
}

/** The rings of all land of a TopoJSON file as arrays x0, y0, x1, y1 …, in the square. */
export function landOf(topology) {
  const { scale, translate } = topology.transform;
  const arcs = topology.arcs.map((arc) => {
    let x = 0;
    let y = 0;
    return arc.map(([dx, dy]) => {
      x += dx;
      y += dy;
      const place = project(y * scale[1] + translate[1], x * scale[0] + translate[0]);
      return [place.x, place.y];
    });
  });
  const rings = [];
  for (const geometry of topology.objects.land.geometries) {
    const polygons = geometry.type === "MultiPolygon" ? geometry.arcs : [geometry.arcs];
    for (const polygon of polygons) {
      for (const ring of polygon) {
        const points = ring.flatMap((index) => (index < 0 ? [...arcs[~index]].reverse() : arcs[index]));
        rings.push(Float64Array.from(unrolled(points).flat()));
      }
    }
  }
  return rings;
}

/**
 * Places nearer to each other than `radius` (in the square) become one mark: { x, y, places }.
 * Linear in practice: every place looks at its own cell of a grid and the eight around it.
 */
export function clustered(places, radius) {
  const cells = new Map();
  const keyOf = (x, y) => x * 0x4000000 + y;
  for (const place of places) {
    const key = keyOf(Math.floor(place.x / radius), Math.floor(place.y / radius));
    const cell = cells.get(key);
    if (cell) cell.push(place);
    else cells.set(key, [place]);
  }
  const taken = new Set();
  const marks = [];
  for (const place of places) {
    if (taken.has(place)) continue;
    const column = Math.floor(place.x / radius);
    const row = Math.floor(place.y / radius);
    const near = [];
    for (let dx = -1; dx <= 1; dx += 1) {
      for (let dy = -1; dy <= 1; dy += 1) {
        const cell = cells.get(keyOf(column + dx, row + dy));
        if (!cell) continue;
        const left = [];
        for (const other of cell) {
          if (taken.has(other)) continue;
          if ((other.x - place.x) ** 2 + (other.y - place.y) ** 2 > radius ** 2) {
            left.push(other);
          } else {
            taken.add(other);
            near.push(other);
          }
        }
        if (left.length !== cell.length) cells.set(keyOf(column + dx, row + dy), left);
      }
    }
    let x = 0;
    let y = 0;
    for (const one of near) {
      x += one.x;
      y += one.y;
    }
    marks.push({ x: x / near.length, y: y / near.length, places: near });
  }
  return marks;
}
