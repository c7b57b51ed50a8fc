/* The page: its tools, and what happens when the user points, clicks or paints. */

const ANNOUNCE_AFTER = 300; // milliseconds without a further key

/** Kinds of actions, in words. */
const ACTIONS = {
  point: 'point',
  remove: 'removal of a point',
  stroke: 'stroke',
  clear: 'clearing',
  open: 'opening of a file',
};

const element = (id) => document.getElementById(id);

class Explorer {
  constructor(data) {
    this.data = data;
    this.size = data.size;
    this.correspondence = new Correspondence(data.pictures, data.size, data.accuracy);
    this.annotations = new Annotations(this.correspondence, data.pictures.length);
    this.labelNames = LABEL_COLORS.map((_, i) => `Label ${letter(i + 1)}`);
    this.views = data.pictures.map(
      (picture, i) => new PictureView(element('pictures'), picture, i, data.size, this),
    );
    const colors = decodeBytes(data.colors);
    this.views.forEach((view, i) => view.showMap(this.correspondence.indices[i], colors));
    this.keys = new Keys(this);
    this.dirty = false; // whether something would be lost
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
      else other.showMatch(matches[i]);
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
    this.announcing = setTimeout(() => this.say(text), ANNOUNCE_AFTER);
  }

  /** Tell screen readers something at once, instead of what was still to be announced. */
  say(text) {
    clearTimeout(this.announcing);
    element('status').textContent = text;
  }

  /** The matches in all pictures but `view`, in words. */
  matchTexts(view, matches) {
    return this.views
      .filter((other) => other !== view)
      .map((other) => `${other.name}: ${other.matchText(matches[other.number], ',')}`);
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
    this.changed();
  }

  onClick(view, pixel) {
    if (this.tool === 'point') this.addPoint(view, pixel);
    if (this.tool === 'look') this.announce(view, pixel);
  }

  /** Returns whether the key meant something. */
  onKey(view, event) {
    return this.keys.onPictureKey(view, event);
  }

  addPoint(view, pixel) {
    this.annotations.addPoint(view.number, pixel, this.label);
    this.changed();
    this.announce(view, pixel, `Point ${this.annotations.points.length} placed. `);
  }

  useTool(view) {
    const pixel = view.pixel ?? view.middle();
    this.onLook(view, pixel);
    if (this.onPress(view, pixel)) {
      this.onRelease();
      const done = this.tool === 'erase' ? 'Erased' : `Painted ${this.labelName(this.label)}`;
      this.announce(view, pixel, `${done}. `);
    } else {
      this.addPoint(view, pixel);
    }
  }

  // ---------------------------------------------------------------- tools

  setUpTools() {
    for (const [i, name] of this.labelNames.entries()) {
      element('label').add(new Option(`${letter(i + 1)} · ${name}`, i + 1));
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
    element('label-name').addEventListener('input', (event) => {
      this.renameLabel(this.label, event.target.value);
    });
    this.chooseLabel(1);
    const tools = element('tools');
    tools.addEventListener('submit', (event) => event.preventDefault());
    tools.addEventListener('change', () => this.showTool());
    this.showTool();
    for (const action of ['undo', 'redo', 'clear', 'save']) {
      element(action).addEventListener('click', () => this[action]());
    }
    const file = element('file');
    element('open').addEventListener('click', () => file.click());
    file.addEventListener('change', async () => {
      if (file.files.length) await this.open(file.files[0]);
      file.value = ''; // so that the same file can be opened again
    });
    window.addEventListener('beforeunload', (event) => {
      if (!this.dirty) return;
      event.preventDefault();
      event.returnValue = true; // what older browsers look at
    });
  }

  /** Show what the chosen tool uses, and nothing else. */
  showTool() {
    for (const field of element('tools').querySelectorAll('[data-tools]')) {
      field.hidden = !field.dataset.tools.split(' ').includes(this.tool);
    }
    const shown = element('pictures').classList;
    shown.toggle('painting', ['paint', 'erase'].includes(this.tool));
    shown.toggle('by-map', element('by-map').checked);
  }

  setUpHelp() {
    const { closeLimit, fairLimit, accuracy } = this.correspondence;
    element('close').textContent = `${(closeLimit * 100).toFixed(1)} %`;
    element('fair').textContent = `${(fairLimit * 100).toFixed(1)} %`;
    element(accuracy ? 'cycle' : 'expected').hidden = true;
  }

  /** Returns its width, in words. */
  changeBrush(difference) {
    const brush = element('brush');
    brush.value = Number(brush.value) + difference;
    const width = `${2 * brush.value + 1} px`;
    element('brush-value').textContent = width;
    return width;
  }

  labelName(label) {
    return this.labelNames[label - 1] || `Label ${letter(label)}`;
  }

  chooseLabel(label) {
    element('label').value = label;
    element('label-name').value = this.labelNames[label - 1];
    drawTiles(element('swatch'), () => label);
  }

  renameLabel(label, name) {
    this.setLabelName(label, name);
    this.dirty = true;
    this.refreshPoints();
  }

  setLabelName(label, name) {
    this.labelNames[label - 1] = name;
    element('label').options[label - 1].textContent = `${letter(label)} · ${this.labelName(label)}`;
  }

  undo() {
    const action = this.annotations.undo();
    if (!action) return this.say('Nothing to undo.');
    this.changed();
    this.say(`Undone: ${ACTIONS[action.kind]}. ${this.annotations.actions.length} left to undo.`);
  }

  redo() {
    const action = this.annotations.redo();
    if (!action) return this.say('Nothing to redo.');
    this.changed();
    this.say(`Redone: ${ACTIONS[action.kind]}. ${this.annotations.undone.length} left to redo.`);
  }

  clear() {
    if (this.annotations.empty) return this.say('Nothing to clear.');
    this.annotations.clear();
    this.changed();
    this.say('All points and labels cleared.');
  }

  save() {
    const names = this.labelNames.map((_, i) => this.labelName(i + 1));
    const saved = describeAnnotations(this.annotations, this.data.pictures, names);
    const text = JSON.stringify(saved);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    link.download = 'correspondences.json';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    this.dirty = false;
    this.say(`Saved as ${link.download}.`);
  }

  /** Take what a saved file holds for what is here; that can be undone, but for names of labels. */
  async open(file) {
    let saved;
    try {
      saved = readAnnotations(await file.text(), this.size, this.data.pictures);
    } catch (error) {
      const reason = error instanceof SavedFileError ? error.message : 'it cannot be read';
      element('problem').textContent = `${file.name} is not opened: ${reason}.`;
      element('problem').hidden = false;
      return;
    }
    const { dirty } = this;
    this.annotations.open(saved);
    saved.names.forEach((name, i) => this.setLabelName(i + 1, name));
    this.chooseLabel(this.label);
    this.changed();
    this.dirty = dirty; // what was not saved before is not saved now
    this.say(`Opened ${file.name}. Points: ${saved.points.length}.`);
  }

  // ---------------------------------------------------------------- showing

  /** After every action: now there is something to save. */
  changed() {
    this.dirty = true;
    element('problem').hidden = true;
    this.refresh();
  }

  refresh() {
    const { actions, undone } = this.annotations;
    // Not `disabled`, which would take the focus from a button that was just pressed.
    element('undo').setAttribute('aria-disabled', !actions.length);
    element('redo').setAttribute('aria-disabled', !undone.length);
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
        const { pixel, grade } = matches[i];
        const kind = picture === i ? 'placed' : grade;
        return { number: n + 1, label, pixel, kind };
      });
      view.showPoints(markers);
    });
    element('no-points').hidden = points.length > 0;
    const list = document.createDocumentFragment(); // the page is laid out once for all points
    points.forEach((point, n) => this.listPoint(list, point, n + 1));
    element('points').replaceChildren(list);
  }

  listPoint(list, point, number) {
    const item = append(list, 'li', '');
    const view = this.views[point.picture];
    const at = view.positionText(point.pixel);
    item.append(`${this.labelName(point.label)}, ${view.name} at ${at}`);
    const button = append(item, 'button', '');
    button.type = 'button';
    button.textContent = 'Remove';
    button.setAttribute('aria-label', `Remove point ${number}`);
    button.addEventListener('click', () => {
      this.annotations.removePoint(point.id);
      this.changed();
      element('undo').focus();
      this.say(`Point ${number} removed. Points: ${this.annotations.points.length}.`);
    });
    append(item, 'span', 'matches').textContent = this.matchTexts(view, point.matches).join(' · ');
  }
}

const explorer = new Explorer(JSON.parse(element('data').textContent));
