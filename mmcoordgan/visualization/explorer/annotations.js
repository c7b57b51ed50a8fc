/* What the user adds: labelled points and painted labels, as a list of actions.
 *
 * Actions: { kind: 'point', id, picture, pixel, label }, { kind: 'remove', id },
 * { kind: 'stroke', picture, label, pixels }, { kind: 'clear' }, { kind: 'open', points, labels }.
 * Label 0 is none. A stroke labels its pixels and, in every other picture, all pixels that
 * correspond to one of them; later strokes cover earlier ones. What is opened takes the place of
 * all that was there.
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
    this.add({ kind: 'point', ...this.newPoint({ picture, pixel, label }) });
  }

  newPoint(point) {
    this.lastId += 1;
    return { ...point, id: this.lastId };
  }

  removePoint(id) {
    this.add({ kind: 'remove', id });
  }

  clear() {
    this.add({ kind: 'clear' });
  }

  /** Take what readAnnotations found. */
  open({ points, labels }) {
    this.add({ kind: 'open', points: points.map((point) => this.newPoint(point)), labels });
  }

  beginStroke(picture, label) {
    this.endStroke(); // of another finger
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
    else if (action.kind === 'point') this.place(action);
    else {
      this.points = [];
      action.points.forEach((point) => this.place(point));
      this.labels = action.labels.map((labels) => labels.slice());
    }
  }

  place({ id, picture, pixel, label }) {
    this.points.push({ id, picture, pixel, label, matches: this.matches(picture, pixel) });
  }

  /** The pixel itself and its match in every other picture, in the order of the pictures. */
  matches(picture, pixel) {
    return Array.from({ length: this.pictures }, (_, to) =>
      to === picture ? OWN(pixel) : this.correspondence.judgedMatch(picture, pixel, to),
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
}
