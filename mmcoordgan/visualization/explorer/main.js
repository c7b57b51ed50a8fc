/* The page: its tools, and what happens when the user points, clicks, paints or presses keys. */

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ANNOUNCE_AFTER = 300; // milliseconds without a further key

const element = (id) => document.getElementById(id);

class Explorer {
  constructor(data) {
    this.data = data;
    this.size = data.size;
    this.correspondence = new Correspondence(
      data.pictures.map(({ map }) => decodeMap(map, data.size)),
      data.size,
    );
    this.annotations = new Annotations(this.correspondence, data.pictures.length);
    this.labelNames = LABEL_COLORS.map((_, i) => `Label ${i + 1}`);
    this.views = data.pictures.map(
      (picture, i) => new PictureView(element('pictures'), picture, i, data.size, this),
    );
    this.saved = true;
    this.setUpTools();
    this.setUpHelp();
    this.refresh();
  }

  get tool() {
    return element('tools').elements.tool.value;
  }

  get label() {
    return Number(element('label').value);
  }

  // ---------------------------------------------------------------- looking

  onLook(view, pixel) {
    const matches = this.annotations.matches(view.number, pixel);
    this.views.forEach((other, i) => {
      if (other === view) other.showOwn(pixel);
      else other.showMatch(matches[i], this.correspondence.grade(matches[i].cycle));
    });
  }

  onLeave() {
    this.views.forEach((view) => view.hideCursor());
  }

  /** Tell screen readers where the matches are, once the cursor rests. */
  announce(view, pixel, prefix = '') {
    const matches = this.matchTexts(view, this.annotations.matches(view.number, pixel));
    const text = `${prefix}${view.name} at ${view.positionText(pixel)}. ${matches.join('. ')}.`;
    clearTimeout(this.announcing);
    this.announcing = setTimeout(() => (element('status').textContent = text), ANNOUNCE_AFTER);
  }

  /** The matches in all pictures but `view`, in words. */
  matchTexts(view, matches) {
    return this.views
      .filter((other) => other !== view)
      .map((other) => {
        const { pixel, cycle } = matches[other.number];
        const grade = this.correspondence.grade(cycle);
        return `${other.name}: ${other.positionText(pixel)}, ${cycle.toFixed(1)} px, ${grade}`;
      });
  }

  // ---------------------------------------------------------------- adding

  /** Returns whether a stroke begins, which goes on until the pointer is released. */
  onPress(view, pixel) {
    if (this.tool !== 'paint' && this.tool !== 'erase') return false;
    this.annotations.beginStroke(view.number, this.tool === 'erase' ? 0 : this.label);
    this.lastPixel = pixel;
    this.onDrag(view, pixel);
    return true;
  }

  onDrag(view, pixel) {
    const { stroke } = this.annotations;
    if (!stroke || stroke.picture !== view.number) return;
    const radius = Number(element('brush').value);
    this.annotations.extendStroke(brushedPixels(this.lastPixel, pixel, radius, this.size));
    this.lastPixel = pixel;
    this.refreshLabels();
  }

  onRelease() {
    if (!this.annotations.stroke) return;
    this.annotations.endStroke();
    this.refresh();
  }

  onClick(view, pixel) {
    if (this.tool === 'point') this.addPoint(view, pixel);
    if (this.tool === 'look') this.announce(view, pixel);
  }

  addPoint(view, pixel) {
    this.annotations.addPoint(view.number, pixel, this.label);
    this.refresh();
    this.announce(view, pixel, `Point ${this.annotations.points.length} placed. `);
  }

  // ---------------------------------------------------------------- keys

  /** Returns whether the key meant something. */
  onKey(view, event) {
    if (event.ctrlKey || event.metaKey) return this.onControlKey(event);
    if (event.altKey) return false;
    const step = event.shiftKey ? 8 : 1;
    if (event.key in ARROWS) return this.moveCursor(view, ARROWS[event.key], step);
    if (event.key === 'Enter' || event.key === ' ') return this.useTool(view);
    if (event.key === 'Escape') this.onLeave();
    else if (event.key === '[' || event.key === ']') this.changeBrush(event.key === ']' ? 1 : -1);
    else if (LABEL_COLORS[Number(event.key) - 1]) this.chooseLabel(Number(event.key));
    else return false;
    return true;
  }

  onControlKey(event) {
    const key = event.key.toLowerCase();
    if (key === 'z' && !event.shiftKey) this.undo();
    else if (key === 'y' || key === 'z') this.redo();
    else return false;
    return true;
  }

  middle() {
    return Math.floor(this.size / 2) * (this.size + 1);
  }

  moveCursor(view, [dx, dy], step) {
    const { size } = this;
    const hidden = view.cursor.hidden;
    const pixel = view.pixel ?? this.middle();
    const clamp = (value) => Math.min(size - 1, Math.max(0, value));
    const column = clamp((pixel % size) + (hidden ? 0 : dx * step));
    const row = clamp(Math.floor(pixel / size) + (hidden ? 0 : dy * step));
    this.onLook(view, row * size + column); // the first key only shows the cursor
    this.announce(view, row * size + column);
    return true;
  }

  useTool(view) {
    const pixel = view.pixel ?? this.middle();
    this.onLook(view, pixel);
    if (this.onPress(view, pixel)) {
      this.onRelease();
      const done = this.tool === 'erase' ? 'Erased' : `Painted ${this.labelName(this.label)}`;
      this.announce(view, pixel, `${done}. `);
    } else {
      this.addPoint(view, pixel);
    }
    return true;
  }

  // ---------------------------------------------------------------- tools

  setUpTools() {
    for (const [i, name] of this.labelNames.entries()) {
      element('label').add(new Option(`${i + 1} · ${name}`, i + 1));
    }
    const brush = element('brush');
    brush.max = Math.max(1, Math.floor(this.size / 6));
    brush.value = Math.round(this.size / 32);
    brush.addEventListener('input', () => this.changeBrush(0));
    this.changeBrush(0);
    const zoom = element('zoom');
    const root = document.documentElement;
    zoom.value = parseInt(getComputedStyle(root).getPropertyValue('--picture-width'), 10);
    zoom.addEventListener('input', () => {
      root.style.setProperty('--picture-width', `${zoom.value}px`);
    });
    element('label').addEventListener('change', () => this.chooseLabel(this.label));
    element('label-name').addEventListener('input', (event) => this.renameLabel(event.target.value));
    this.chooseLabel(1);
    const tools = element('tools');
    tools.addEventListener('submit', (event) => event.preventDefault());
    tools.addEventListener('change', () => {
      element('pictures').classList.toggle('painting', ['paint', 'erase'].includes(this.tool));
    });
    for (const action of ['undo', 'redo', 'clear', 'save']) {
      element(action).addEventListener('click', () => this[action]());
    }
    window.addEventListener('beforeunload', (event) => {
      if (!this.saved) event.preventDefault();
    });
  }

  setUpHelp() {
    document.querySelectorAll('.size').forEach((span) => (span.textContent = this.size));
    element('close').textContent = this.correspondence.closeLimit;
    element('fair').textContent = this.correspondence.fairLimit;
  }

  changeBrush(difference) {
    const brush = element('brush');
    brush.value = Number(brush.value) + difference;
    element('brush-value').textContent = `${2 * brush.value + 1} px`;
  }

  labelName(label) {
    return this.labelNames[label - 1] || `Label ${label}`;
  }

  chooseLabel(label) {
    element('label').value = label;
    element('label-name').value = this.labelNames[label - 1];
    drawTiles(element('swatch'), () => label);
  }

  renameLabel(name) {
    this.labelNames[this.label - 1] = name;
    const option = element('label').selectedOptions[0];
    option.textContent = `${this.label} · ${this.labelName(this.label)}`;
    this.saved = false;
    this.refreshPoints();
  }

  undo() {
    this.annotations.undo();
    this.refresh();
  }

  redo() {
    this.annotations.redo();
    this.refresh();
  }

  clear() {
    this.annotations.clear();
    this.refresh();
  }

  save() {
    const names = this.labelNames.map((_, i) => this.labelName(i + 1));
    const text = JSON.stringify(this.annotations.export(this.data.pictures, names));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    link.download = 'correspondences.json';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    this.saved = true;
  }

  // ---------------------------------------------------------------- showing

  refresh() {
    const { actions, undone } = this.annotations;
    element('undo').disabled = !actions.length;
    element('redo').disabled = !undone.length;
    this.saved = !actions.length;
    this.refreshPoints();
    this.refreshLabels();
  }

  /** Painted at most once for each frame that the screen shows. */
  refreshLabels() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      this.views.forEach((view, i) => view.showLabels(this.annotations.labels[i]));
    });
  }

  refreshPoints() {
    const { points } = this.annotations;
    this.views.forEach((view, i) => {
      const markers = points.map(({ label, picture, matches }, n) => {
        const { pixel, cycle } = matches[i];
        const kind = picture === i ? 'placed' : this.correspondence.grade(cycle);
        return { number: n + 1, label, pixel, kind };
      });
      view.showPoints(markers);
    });
    element('no-points').hidden = points.length > 0;
    element('points').replaceChildren();
    points.forEach((point, n) => this.listPoint(point, n + 1));
  }

  listPoint(point, number) {
    const item = append(element('points'), 'li', '');
    const view = this.views[point.picture];
    const at = view.positionText(point.pixel);
    item.append(`${this.labelName(point.label)}, ${view.name} at ${at}`);
    const button = append(item, 'button', '');
    button.type = 'button';
    button.textContent = 'Remove';
    button.setAttribute('aria-label', `Remove point ${number}`);
    button.addEventListener('click', () => {
      this.annotations.removePoint(point.id);
      this.refresh();
      element('undo').focus();
    });
    append(item, 'span', 'matches').textContent = this.matchTexts(view, point.matches).join(' · ');
  }
}

const explorer = new Explorer(JSON.parse(element('data').textContent));
