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
  const view = new DataView(decodeBytes(base64).buffer);
  const count = size * size;
  const read = (offset) =>
    Uint16Array.from({ length: count }, (_, i) => view.getUint16(2 * (offset + i), true));
  return { x: read(0), y: read(count) };
}

function decodeBytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Read the errors of a map, a byte for each pixel: 255 is 1, in units of the frame. */
function decodeErrors(base64) {
  return Float32Array.from(decodeBytes(base64), (level) => level / 255);
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

/** The match of a pixel in its own picture. */
const OWN = (pixel) => ({ pixel, cycle: 0, error: 0, grade: 'close' });

/** Correspondences between all pictures.
 *
 * With `accuracy`, { temperature, doubts, errors }, and the `errors` of all maps (see page.py), a
 * match comes with the error that is expected of it; else with the error of its cycle.
 */
class Correspondence {
  constructor(pictures, size, accuracy) {
    this.size = size;
    this.accuracy = accuracy;
    this.indices = pictures.map(({ map }) => new PixelIndex(decodeMap(map, size)));
    this.doubtful = pictures.map(({ warning }) => warning !== '');
    this.mapErrors = pictures.map(({ error }) => accuracy && decodeErrors(error));
    this.tables = new Map();
    // Matches are close or fair up to these errors, as fractions of the side.
    this.closeLimit = accuracy ? 0.05 : Math.max(1, size / 64) / size;
    this.fairLimit = accuracy ? 0.1 : Math.max(2, size / 16) / size;
  }

  /** The pixel of picture `to` that corresponds to a pixel of picture `from`. */
  match(from, pixel, to) {
    const { x, y } = this.indices[from];
    return this.indices[to].nearest(x[pixel], y[pixel]);
  }

  /** That pixel; its cycle: how far (in pixels) from the start one ends after going there and back;
   * its error, as a fraction of the side; and the error in a word. */
  judgedMatch(from, pixel, to) {
    const there = this.match(from, pixel, to);
    const cycle = this.distance(pixel, this.match(to, there, from));
    const error = this.accuracy ? this.expectedError(from, pixel, to, there) : cycle / this.size;
    let grade = error <= this.fairLimit ? 'fair' : 'far';
    if (error <= this.closeLimit) grade = 'close';
    if (this.doubtful[from] || this.doubtful[to]) grade = 'doubtful';
    return { pixel: there, cycle, error, grade };
  }

  /** The error of matches that are as doubtful, see match() in matching.py. */
  expectedError(from, pixel, to, there) {
    const { doubts, errors } = this.accuracy;
    const ends = this.mapErrors[from][pixel] + this.mapErrors[to][there];
    const doubt = this.spread(from, pixel, to, there) + ends / 4;
    const after = doubts.findIndex((value) => value > doubt);
    if (after < 1) return errors[after < 0 ? errors.length - 1 : 0];
    const share = (doubt - doubts[after - 1]) / (doubts[after] - doubts[after - 1]);
    return errors[after - 1] + share * (errors[after] - errors[after - 1]);
  }

  /** Standard deviation of the pixels that a soft match is a mean of, as a fraction of the side. */
  spread(from, pixel, to, there) {
    const [source, target] = [this.indices[from], this.indices[to]];
    const distance = (i) => Math.hypot(target.x[i] - source.x[pixel], target.y[i] - source.y[pixel]);
    const scale = (this.accuracy.temperature * (LEVELS - 1)) / 2; // the frame is 2 wide
    if (!scale) return 0;
    const nearest = distance(there);
    const sum = { weight: 0, x: 0, y: 0, square: 0 };
    for (let i = 0; i < target.x.length; i++) {
      const weight = Math.exp((nearest - distance(i)) / scale);
      const [x, y] = [i % this.size, Math.floor(i / this.size)];
      sum.weight += weight;
      sum.x += weight * x;
      sum.y += weight * y;
      sum.square += weight * (x * x + y * y);
    }
    const mean = (value) => value / sum.weight;
    return Math.sqrt(Math.max(0, mean(sum.square) - mean(sum.x) ** 2 - mean(sum.y) ** 2)) / this.size;
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
}
