/* Which pixel of one picture corresponds to which of another.
 *
 * A map gives every pixel its place in the canonical frame, as two integers in 0..65535 (x, y).
 * Pixels are numbered row by row: pixel = row * size + column. The pixel of a picture that
 * corresponds to a place is the one whose own place is nearest (Euclidean); among equals, the one
 * with the lowest number.
 */

const LEVELS = 65536;

/** Read a map: x of all pixels, then y of all pixels, as little-endian 16-bit integers. */
function decodeMap(base64, size) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const count = size * size;
  const read = (offset) =>
    Uint16Array.from({ length: count }, (_, i) => view.getUint16(2 * (offset + i), true));
  return { x: read(0), y: read(count) };
}

/** The pixels of one map, sorted into square cells of the frame, to find the nearest one fast. */
class PixelIndex {
  constructor({ x, y }) {
    this.x = x;
    this.y = y;
    this.cells = Math.max(1, Math.round(Math.sqrt(x.length) / 2)); // along each side
    this.side = Math.ceil(LEVELS / this.cells);
    this.start = new Uint32Array(this.cells ** 2 + 1);
    for (let i = 0; i < x.length; i++) this.start[this.cellOf(i) + 1]++;
    for (let cell = 0; cell < this.cells ** 2; cell++) this.start[cell + 1] += this.start[cell];
    const next = this.start.slice();
    this.members = new Uint32Array(x.length); // of cell c: start[c] <= position < start[c + 1]
    for (let i = 0; i < x.length; i++) this.members[next[this.cellOf(i)]++] = i;
  }

  cellOf(pixel) {
    const row = Math.floor(this.y[pixel] / this.side);
    return row * this.cells + Math.floor(this.x[pixel] / this.side);
  }

  /** The pixel whose place is nearest to (x, y): cells are searched in growing squares. */
  nearest(x, y) {
    const column = Math.floor(x / this.side);
    const row = Math.floor(y / this.side);
    const found = { pixel: -1, distance: Infinity }; // squared, which integers hold exactly
    for (let ring = 0; ring < this.cells; ring++) {
      this.searchRing(column, row, ring, x, y, found);
      const reach = this.reach(column, row, ring, x, y);
      if (found.distance < reach * reach) break;
    }
    return found.pixel;
  }

  /** No pixel outside of the square of cells around (column, row) is nearer than this. */
  reach(column, row, ring, x, y) {
    const last = this.cells - 1;
    return Math.min(
      column - ring > 0 ? x - (column - ring) * this.side : Infinity,
      column + ring < last ? (column + ring + 1) * this.side - x : Infinity,
      row - ring > 0 ? y - (row - ring) * this.side : Infinity,
      row + ring < last ? (row + ring + 1) * this.side - y : Infinity,
    );
  }

  searchRing(column, row, ring, x, y, found) {
    const top = Math.max(row - ring, 0);
    const bottom = Math.min(row + ring, this.cells - 1);
    for (let r = top; r <= bottom; r++) {
      const whole = r === row - ring || r === row + ring;
      const step = whole || ring === 0 ? 1 : 2 * ring;
      for (let c = column - ring; c <= column + ring; c += step) {
        if (c >= 0 && c < this.cells) this.searchCell(r * this.cells + c, x, y, found);
      }
    }
  }

  searchCell(cell, x, y, found) {
    for (let at = this.start[cell]; at < this.start[cell + 1]; at++) {
      const pixel = this.members[at];
      const dx = this.x[pixel] - x;
      const dy = this.y[pixel] - y;
      const distance = dx * dx + dy * dy;
      if (distance < found.distance || (distance === found.distance && pixel < found.pixel)) {
        found.pixel = pixel;
        found.distance = distance;
      }
    }
  }
}

/** Correspondences between all pictures. */
class Correspondence {
  constructor(maps, size) {
    this.size = size;
    this.indices = maps.map((map) => new PixelIndex(map));
    this.tables = new Map();
  }

  /** The pixel of picture `to` that corresponds to a pixel of picture `from`. */
  match(from, pixel, to) {
    const { x, y } = this.indices[from];
    return this.indices[to].nearest(x[pixel], y[pixel]);
  }

  /** That pixel, and how far (in pixels) from the start one ends after going there and back. */
  matchWithCycle(from, pixel, to) {
    const there = this.match(from, pixel, to);
    return { pixel: there, cycle: this.distance(pixel, this.match(to, there, from)) };
  }

  /** Distance of two pixels of one picture, in pixels. */
  distance(a, b) {
    const size = this.size;
    return Math.hypot((a % size) - (b % size), Math.floor(a / size) - Math.floor(b / size));
  }

  /** For every pixel of picture `to`, the pixel of picture `from` that corresponds to it. */
  sources(from, to) {
    const key = `${from}>${to}`;
    if (!this.tables.has(key)) {
      const table = new Uint16Array(this.size ** 2);
      for (let pixel = 0; pixel < table.length; pixel++) table[pixel] = this.match(to, pixel, from);
      this.tables.set(key, table);
    }
    return this.tables.get(key);
  }

  /** A cycle distance in a word. */
  grade(cycle) {
    if (cycle <= this.closeLimit) return 'close';
    return cycle <= this.fairLimit ? 'fair' : 'far';
  }

  get closeLimit() {
    return Math.max(1, this.size / 64);
  }

  get fairLimit() {
    return Math.max(2, this.size / 16);
  }
}
