/* The file that annotations are kept in: positions are [column, row], label maps rows of numbers. */

const FORMAT = 'mmcoordgan explorer 1';

/** Annotations as plain values. */
function describeAnnotations({ correspondence, points, labels }, pictures, labelNames) {
  const { size } = correspondence;
  const position = (pixel) => [pixel % size, Math.floor(pixel / size)];
  const row = (values, number) => Array.from(values.slice(number * size, (number + 1) * size));
  const rows = (values) => Array.from({ length: size }, (_, number) => row(values, number));
  return {
    format: FORMAT,
    size,
    labels: labelNames.map((name, i) => ({ label: i + 1, name })),
    points: points.map(({ picture, label, matches }) => ({
      label,
      picture,
      positions: matches.map((match) => position(match.pixel)),
      cycle_distances: matches.map((match) => match.cycle),
    })),
    pictures: pictures.map(({ name, width, height }, i) => ({
      name,
      width,
      height,
      labels: rows(labels[i]),
    })),
  };
}

/** A file that cannot be opened here; the message says why. */
class SavedFileError extends Error {}

/** What a file holds: { names, points: [{ picture, pixel, label }], labels }.
 *
 * Matches are left out: they follow from the maps. Throws a SavedFileError.
 */
function readAnnotations(text, size, pictures) {
  const saved = parse(text);
  const check = (holds, complaint) => {
    if (!holds) throw new SavedFileError(complaint);
  };
  const within = (value, from, to) => Number.isInteger(value) && value >= from && value <= to;
  const isLabel = (value, from) => within(value, from, LABEL_COLORS.length);
  const list = (value, what) => {
    check(Array.isArray(value), `it lacks a list of ${what}`);
    return value;
  };

  check(saved?.format === FORMAT, 'this page did not save it');
  check(saved.size === size, `its maps have ${saved.size} pixels a side, but those here ${size}`);
  const theirs = list(saved.pictures, 'pictures');
  check(
    theirs.length === pictures.length,
    `it is about ${theirs.length} images, but here are ${pictures.length}`,
  );
  const labels = pictures.map(({ name }, i) => {
    const found = theirs[i]?.name;
    check(found === name, `its image ${i + 1} is ${found}, but here it is ${name}`);
    const values = list(theirs[i].labels, 'labels of every pixel').flat();
    const whole = values.length === size ** 2 && values.every((value) => isLabel(value, 0));
    check(whole, `its labels of ${name} are damaged`);
    return Uint8Array.from(values);
  });
  const points = list(saved.points, 'points').map((point, i) => {
    const position = point?.positions?.[point.picture];
    const [column, row] = Array.isArray(position) ? position : [];
    const whole = isLabel(point?.label, 1) && [column, row].every((v) => within(v, 0, size - 1));
    check(whole && within(point.picture, 0, pictures.length - 1), `its point ${i + 1} is damaged`);
    return { picture: point.picture, pixel: row * size + column, label: point.label };
  });
  const names = list(saved.labels, 'labels').map((label) => label?.name);
  const named = names.length === LABEL_COLORS.length && names.every((n) => typeof n === 'string');
  check(named, 'its names of labels are damaged');
  return { names, points, labels };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new SavedFileError('it is not JSON');
  }
}
