/* What keys do: those in a picture, and those that undo anywhere on the page. */

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class Keys {
  constructor(explorer) {
    this.explorer = explorer;
    document.addEventListener('keydown', (event) => {
      const typing = event.target.matches('input[type="text"]'); // has an undo of its own
      if (!typing && this.onPageKey(event)) event.preventDefault();
    });
  }

  /** Returns whether the key meant something. */
  onPageKey(event) {
    if (!(event.ctrlKey || event.metaKey)) return false;
    const key = event.key.toLowerCase();
    if (key === 'z' && !event.shiftKey) this.explorer.undo();
    else if (key === 'y' || key === 'z') this.explorer.redo();
    else return false;
    return true;
  }

  /** Returns whether the key meant something. */
  onPictureKey(view, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const { key } = event;
    const label = 'abcdefgh12345678'.indexOf(key.toLowerCase());
    if (key in ARROWS) this.moveCursor(view, ARROWS[key], event.shiftKey ? 8 : 1);
    else if (key === 'Enter' || key === ' ') this.explorer.useTool(view);
    else if (key === 'Escape') this.explorer.onLeave();
    else if (key === '[' || key === ']') this.changeBrush(key === ']' ? 1 : -1);
    else if (label >= 0) this.chooseLabel((label % 8) + 1);
    else return false;
    return true;
  }

  moveCursor(view, [dx, dy], step) {
    const { size } = view;
    const hidden = view.cursor.hidden; // the first key only shows the cursor
    const from = view.pixel ?? view.middle();
    const clamp = (value) => Math.min(size - 1, Math.max(0, value));
    const column = clamp((from % size) + (hidden ? 0 : dx * step));
    const row = clamp(Math.floor(from / size) + (hidden ? 0 : dy * step));
    const pixel = row * size + column;
    this.explorer.onLook(view, pixel);
    this.explorer.announce(view, pixel);
  }

  changeBrush(difference) {
    this.explorer.say(`Brush ${this.explorer.changeBrush(difference)}.`);
  }

  chooseLabel(label) {
    this.explorer.chooseLabel(label);
    this.explorer.say(`${this.explorer.labelName(label)} chosen.`);
  }
}
