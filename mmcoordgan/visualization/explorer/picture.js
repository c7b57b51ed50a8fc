/* One picture on the page: what is drawn over it, and where the user points in it. */

const LABEL_CANVAS_SIDE = 256;

/** A new element of a class, inside another one. */
function append(parent, tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

class PictureView {
  /** `user` is told what happens: onLook, onPress, onDrag, onRelease,
   * onClick, onLeave and onKey. */
  constructor(parent, picture, number, size, user) {
    this.number = number;
    this.size = size;
    this.name = picture.name;
    this.extent = [picture.width, picture.height];
    this.pixel = null; // where the cursor is
    const figure = append(parent, 'figure', picture.pixelated ? 'pixelated' : '');
    this.area = append(figure, 'div', 'picture');
    const image = append(this.area, 'img', '');
    image.alt = '';
    image.draggable = false;
    image.src = picture.image;
    image.style.setProperty('--aspect', `${picture.width} / ${picture.height}`);
    this.scale = Math.max(1, Math.ceil(LABEL_CANVAS_SIDE / size));
    this.map = append(this.area, 'canvas', 'map');
    this.map.width = this.map.height = size;
    this.canvas = append(this.area, 'canvas', 'labels');
    this.canvas.width = this.canvas.height = size * this.scale;
    this.points = append(this.area, 'div', 'point-layer');
    this.cursor = append(this.area, 'div', 'marker cursor');
    this.cursor.hidden = true;
    if (picture.warning) append(this.area, 'div', 'warning').textContent = picture.warning;
    const caption = append(figure, 'figcaption', '');
    append(caption, 'span', 'name').textContent = picture.name;
    this.caption = append(caption, 'span', 'match');
    this.describe(picture.name);
    this.listen(user);
  }

  describe(name) {
    this.area.tabIndex = 0;
    this.area.setAttribute('role', 'application');
    this.area.setAttribute('aria-roledescription', 'image with a cursor');
    this.area.setAttribute('aria-label', `Image ${this.number + 1}: ${name}`);
    this.area.setAttribute('aria-describedby', 'keys');
  }

  listen(user) {
    const { area } = this;
    area.addEventListener('pointermove', (event) => {
      const pixel = this.pixelAt(event);
      if (event.pointerType !== 'mouse' && !event.buttons) return;
      user.onLook(this, pixel);
      user.onDrag(this, pixel);
    });
    area.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      user.onLook(this, this.pixelAt(event));
      if (user.onPress(this, this.pixelAt(event))) area.setPointerCapture(event.pointerId);
    });
    area.addEventListener('pointerup', () => user.onRelease());
    area.addEventListener('pointercancel', () => user.onRelease());
    area.addEventListener('click', (event) => user.onClick(this, this.pixelAt(event)));
    area.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse') user.onLeave();
    });
    area.addEventListener('keydown', (event) => {
      if (user.onKey(this, event)) event.preventDefault();
    });
  }

  /** The pixel of the raster under a pointer; outside of the picture, the nearest one. */
  pixelAt(event) {
    const box = this.area.getBoundingClientRect();
    const clamp = (index) => Math.min(this.size - 1, Math.max(0, index));
    const along = (at, extent) => clamp(Math.floor((at / extent) * this.size));
    const column = along(event.clientX - box.left, box.width);
    return along(event.clientY - box.top, box.height) * this.size + column;
  }

  middle() {
    return Math.floor(this.size / 2) * (this.size + 1);
  }

  /** Centre of a pixel, in percent of the picture. */
  place(element, pixel) {
    element.style.left = `${(((pixel % this.size) + 0.5) / this.size) * 100}%`;
    element.style.top = `${((Math.floor(pixel / this.size) + 0.5) / this.size) * 100}%`;
  }

  /** Its centre, in pixels of the picture itself. */
  positionText(pixel) {
    const place = [pixel % this.size, Math.floor(pixel / this.size)];
    return place.map((at, i) => Math.floor(((at + 0.5) * this.extent[i]) / this.size)).join(', ');
  }

  /** Where a match is and how far off it may be, in pixels of the picture itself, and in a word. */
  matchText({ pixel, error, grade }, separator) {
    const off = error * Math.sqrt(this.extent[0] * this.extent[1]);
    return `${this.positionText(pixel)}${separator} ${off.toFixed(1)} px, ${grade}`;
  }

  /** The cursor in the picture that the user points into. */
  showOwn(pixel) {
    this.showCursor(pixel, 'own', 0);
    this.caption.textContent = `at ${this.positionText(pixel)}`;
  }

  /** The pixel that corresponds to it, in another picture. */
  showMatch(match) {
    this.showCursor(match.pixel, match.grade, match.error);
    this.caption.textContent = this.matchText(match, ' ·');
  }

  showCursor(pixel, kind, error) {
    const percent = Math.min(60, 2 * error * 100);
    this.pixel = pixel;
    this.cursor.hidden = false;
    this.cursor.className = `marker cursor ${kind}`;
    this.cursor.style.width = `max(16px, ${percent}%)`;
    this.place(this.cursor, pixel);
  }

  hideCursor() {
    this.cursor.hidden = true;
    this.caption.textContent = '';
  }

  /** Markers with a number, a label, a pixel and a kind: placed here, or how close the match is. */
  showPoints(points) {
    const markers = document.createDocumentFragment();
    for (const { number, label, pixel, kind } of points) {
      const marker = append(markers, 'div', `marker point ${kind}`);
      marker.textContent = number;
      marker.style.background = `rgb(${LABEL_COLORS[label - 1].join(' ')})`;
      marker.style.color = DARK_LABELS.has(label) ? '#fff' : '#000';
      this.place(marker, pixel);
    }
    this.points.replaceChildren(markers);
  }

  /** Colour the pixels by their places in the frame; `colors` is an image of the frame. */
  showMap({ x, y }, colors) {
    const side = Math.sqrt(colors.length / 3);
    const image = new ImageData(this.size, this.size);
    const cell = (level) => Math.floor((level * side) / LEVELS);
    for (let i = 0; i < x.length; i++) {
      const at = 3 * (cell(y[i]) * side + cell(x[i]));
      image.data.set([...colors.subarray(at, at + 3), 255], 4 * i);
    }
    this.map.getContext('2d').putImageData(image, 0, 0);
  }

  showLabels(labels) {
    drawLabels(this.canvas, labels, this.size, this.scale);
  }
}
