/* What the user adds: labelled points and painted labels, as a list of actions.
 *
 * Actions: { kind: 'point', id, picture, pixel, label }, { kind: 'remove', id },
 * { kind: 'stroke', picture, label, pixels }, { kind: 'clear' }. Label 0 is none. A stroke labels
 * its pixels and, in every other picture, all pixels that correspond to one of them; later strokes
 * cover earlier ones.
 */

class Annotations {
  constructor(correspondence, pictures) {
    this.correspondence = correspondence;
    this.pictures = pictures;
    this.actions = [];
    this.undone = [];
    this.lastId = 0;
    this.stroke = null; // the one being painted
    this.reset();
  }

  /** Forget what the actions amount to. */
  reset() {
    const pixels = this.correspondence.size ** 2;
    this.points = [];
    this.labels = Array.from({ length: this.pictures }, () => new Uint8Array(pixels));
  }

  get empty() {
    return !this.points.length && this.labels.every((labels) => labels.every((label) => !label));
  }

  addPoint(picture, pixel, label) {
    this.lastId += 1;
    this.add({ kind: 'point', id: this.lastId, picture, pixel, label });
  }

  removePoint(id) {
    this.add({ kind: 'remove', id });
  }

  clear() {
    this.add({ kind: 'clear' });
  }

  beginStroke(picture, label) {
    this.stroke = { kind: 'stroke', picture, label, pixels: [] };
  }

  /** Add pixels to the stroke that is being painted. */
  extendStroke(pixels) {
    const done = new Set(this.stroke.pixels);
    const fresh = pixels.filter((pixel) => !done.has(pixel));
    if (!fresh.length) return;
    this.stroke.pixels.push(...fresh);
    this.paint(this.stroke, fresh);
  }

  endStroke() {
    const stroke = this.stroke;
    this.stroke = null;
    if (stroke) this.remember(stroke);
  }

  add(action) {
    this.endStroke();
    this.apply(action);
    this.remember(action);
  }

  remember(action) {
    this.actions.push(action);
    this.undone = [];
  }

  /** Returns the action that is undone, if there is one. */
  undo() {
    this.endStroke();
    const action = this.actions.pop();
    if (!action) return null;
    this.undone.push(action);
    this.reset();
    this.actions.forEach((earlier) => this.apply(earlier));
    return action;
  }

  /** Returns the action that is done again, if there is one. */
  redo() {
    this.endStroke();
    const action = this.undone.pop();
    if (!action) return null;
    this.apply(action);
    this.actions.push(action);
    return action;
  }

  apply(action) {
    if (action.kind === 'clear') this.reset();
    else if (action.kind === 'stroke') this.paint(action, action.pixels);
    else if (action.kind === 'remove') this.points = this.points.filter((p) => p.id !== action.id);
    else this.points.push({ ...action, matches: this.matches(action.picture, action.pixel) });
  }

  /** The pixel itself and its match in every other picture, in the order of the pictures. */
  matches(picture, pixel) {
    return Array.from({ length: this.pictures }, (_, to) =>
      to === picture ? { pixel, cycle: 0 } : this.correspondence.matchWithCycle(picture, pixel, to),
    );
  }

  paint({ picture, label }, pixels) {
    const painted = new Uint8Array(this.correspondence.size ** 2);
    for (const pixel of pixels) painted[pixel] = 1;
    this.labels.forEach((labels, to) => {
      if (to === picture) {
        for (const pixel of pixels) labels[pixel] = label;
        return;
      }
      const sources = this.correspondence.sources(picture, to);
      for (let pixel = 0; pixel < labels.length; pixel++) {
        if (painted[sources[pixel]]) labels[pixel] = label;
      }
    });
  }

  /** All of it as plain values; positions are [column, row], label maps are rows of numbers. */
  export(pictures, labelNames) {
    const { size } = this.correspondence;
    const position = (pixel) => [pixel % size, Math.floor(pixel / size)];
    const row = (values, number) => Array.from(values.slice(number * size, (number + 1) * size));
    const rows = (values) => Array.from({ length: size }, (_, number) => row(values, number));
    return {
      format: 'mmcoordgan explorer 1',
      size,
      labels: labelNames.map((name, i) => ({ label: i + 1, name })),
      points: this.points.map(({ picture, label, matches }) => ({
        label,
        picture,
        positions: matches.map((match) => position(match.pixel)),
        cycle_distances: matches.map((match) => match.cycle),
      })),
      pictures: pictures.map(({ name, width, height }, i) => ({
        name,
        width,
        height,
        labels: rows(this.labels[i]),
      })),
    };
  }
}
