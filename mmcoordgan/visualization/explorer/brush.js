/* Which pixels a brush covers. */

/** All pixels under a round brush on its straight way between two pixels. */
function brushedPixels(from, to, radius, size) {
  const [x0, y0, x1, y1] = [from % size, Math.floor(from / size), to % size, Math.floor(to / size)];
  const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
  const pixels = new Set();
  for (let step = 0; step <= steps; step++) {
    const x = Math.round(x0 + ((x1 - x0) * step) / steps);
    const y = Math.round(y0 + ((y1 - y0) * step) / steps);
    addDisc(x, y, radius, size, pixels);
  }
  return [...pixels];
}

/** Add the pixels at most `radius` away from (x, y). */
function addDisc(x, y, radius, size, pixels) {
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) {
      const inside = dx * dx + dy * dy <= radius * radius;
      const [column, row] = [x + dx, y + dy];
      const onPicture = Math.min(column, row) >= 0 && Math.max(column, row) < size;
      if (inside && onPicture) pixels.add(row * size + column);
    }
  }
}
