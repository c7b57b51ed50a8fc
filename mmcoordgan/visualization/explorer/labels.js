/* Labels have a letter, a colour and a hatching, so that no one needs to tell colours apart. */

const LABEL_COLORS = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66],
  [0, 114, 178], [213, 94, 0], [204, 121, 167], [150, 150, 150],
];
const letter = (label) => String.fromCharCode(64 + label); // 1 is A
const DARK_LABELS = new Set([5]); // white text is legible on them, black on the others
const TILE = 8; // period of the hatching

/** Whether the hatching of each label is dark at (x, y) of its tile. */
const HATCHINGS = [
  () => false,
  (x, y) => (x + y) % TILE < 2,
  (x, y) => (x + TILE - y) % TILE < 2,
  (x, y) => y < 2,
  (x) => x < 2,
  (x, y) => x < 3 && y < 3,
  (x, y) => x < 2 || y < 2,
  (x, y) => x < 4 === y < 4,
];

/** One tile for each label, and an invisible one for label 0, as 32-bit RGBA. */
const LABEL_TILES = [null, ...LABEL_COLORS].map((color, label) => {
  const tile = new Uint32Array(TILE * TILE);
  const bytes = new Uint8ClampedArray(tile.buffer);
  for (let i = 0; color && i < TILE * TILE; i++) {
    const dark = HATCHINGS[label - 1](i % TILE, Math.floor(i / TILE));
    bytes.set(dark ? [...color.map((value) => value * 0.3), 220] : [...color, 150], 4 * i);
  }
  return tile;
});

/** Fill a canvas: `labelAt(x, y)` tells the label of each of its pixels. */
function drawTiles(canvas, labelAt) {
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  const rgba = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rgba[y * width + x] = LABEL_TILES[labelAt(x, y)][(y % TILE) * TILE + (x % TILE)];
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
}

/** Paint a map of labels, each pixel as a square of `scale`, with its letter on each label. */
function drawLabels(canvas, labels, size, scale) {
  drawTiles(canvas, (x, y) => labels[Math.floor(y / scale) * size + Math.floor(x / scale)]);
  const center = (index) => (index + 0.5) * scale;
  for (const { label, pixel } of labelCenters(labels, size)) {
    drawLetter(canvas, label, center(pixel % size), center(Math.floor(pixel / size)));
  }
}

/** For each label that occurs, the labelled pixel nearest to the middle of its pixels. */
function labelCenters(labels, size) {
  const found = LABEL_COLORS.map(() => ({ count: 0, x: 0, y: 0, pixel: -1, distance: Infinity }));
  const forEachLabelled = (visit) => {
    for (let pixel = 0; pixel < labels.length; pixel++) {
      if (labels[pixel]) visit(found[labels[pixel] - 1], pixel);
    }
  };
  forEachLabelled((label, pixel) => {
    label.count += 1;
    label.x += pixel % size;
    label.y += Math.floor(pixel / size);
  });
  forEachLabelled((label, pixel) => {
    const dx = (pixel % size) - label.x / label.count;
    const dy = Math.floor(pixel / size) - label.y / label.count;
    const distance = dx * dx + dy * dy;
    if (distance < label.distance) Object.assign(label, { pixel, distance });
  });
  return found.map(({ pixel }, i) => ({ label: i + 1, pixel })).filter(({ pixel }) => pixel >= 0);
}

/** A black letter with a white rim. */
function drawLetter(canvas, label, x, y) {
  const context = canvas.getContext('2d');
  context.font = 'bold 24px system-ui, sans-serif';
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.lineWidth = 5;
  context.strokeStyle = '#fff';
  context.strokeText(letter(label), x, y);
  context.fillText(letter(label), x, y);
}
