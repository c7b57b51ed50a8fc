"""Named points in files, as CSV or JSON.

A point is ``x``, ``y`` in pixels of its picture's own size, (0, 0) being the centre of the top left
pixel, with an optional ``label``. CSV has a header line with these names. JSON is
``{"points": [{"label": "nose", "x": 15.5, "y": 17}, ...]}``, or the list alone.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import numpy as np

from mmcoordgan.engine.checkpoint_files import atomic_file

from .results import PointTransfer

ENDINGS = ('.csv', '.json')
_COLUMNS = ('picture', 'label', 'x', 'y', 'confidence')


def read_points(path: str) -> tuple[list[str], np.ndarray]:
    """Labels and points (N, 2) float32 of a file; a point without label gets its number.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else; says where.
    """
    text = Path(path).read_bytes().decode('utf-8-sig', 'surrogateescape')
    try:
        rows = _json_rows(text) if path.lower().endswith('.json') else _csv_rows(text)
        labels, points = [], []
        for number, row in enumerate(rows):
            x, y = float(row['x']), float(row['y'])
            if not math.isfinite(x + y):
                raise ValueError(f'point {number} is not finite')
            label = row.get('label')
            labels.append(str(number if label in (None, '') else label))
            points.append((x, y))
    except (
        ValueError,
        OverflowError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        csv.Error,
    ) as error:
        raise ValueError(
            f'{path} holds no points ({type(error).__name__}: {error}): a CSV needs a header with '
            'the columns x, y and optionally label, a JSON {"points": [{"label": ..., "x": ..., '
            '"y": ...}]}'
        ) from None
    if not points:
        raise ValueError(f'{path} holds no points')
    return labels, np.array(points, np.float32)


@contextmanager
def points_writer(path: str, labels: Sequence[str]) -> Iterator[Callable[[PointTransfer], Any]]:
    """A function that adds the points of one picture to a new file, which memory need not hold.

    CSV: one line per point, with the columns picture, label, x, y, confidence. JSON:
    ``{"pictures": [{"picture": ..., "points": [{"label", "x", "y", "confidence"}]}]}``.

    An error or Ctrl-C ends the file after the picture that was added last, and goes on: what was
    computed is kept. Before the first picture, it leaves alone what ``path`` held.
    """
    head, between, foot, text_of = _layout(path)
    count = 0
    stopped: BaseException | None = None
    with atomic_file(path) as binary:
        file = io.TextIOWrapper(binary, 'utf-8', 'surrogateescape', newline='')

        def add(found: PointTransfer) -> None:
            nonlocal count
            file.write((between if count else head) + text_of(found, labels))
            count += 1

        try:
            yield add
        except BaseException as error:
            if not count:
                raise
            stopped = error
        file.write(foot if count else head + foot)
        file.flush()
        file.detach()
    if stopped is not None:
        raise stopped


def _layout(path: str) -> tuple[str, str, str, Callable[[PointTransfer, Sequence[str]], str]]:
    """What begins a file, separates pictures and ends it, and the text of one picture."""
    if path.lower().endswith('.json'):
        return '{"pictures": [\n', ',\n', '\n]}\n', _json_text
    return ','.join(_COLUMNS) + '\r\n', '', '', _csv_text


def _csv_text(found: PointTransfer, labels: Sequence[str]) -> str:
    text = io.StringIO(newline='')
    csv.DictWriter(text, _COLUMNS).writerows(_rows(found, labels))
    return text.getvalue()


def _json_text(found: PointTransfer, labels: Sequence[str]) -> str:
    rows = [{k: v for k, v in row.items() if k != 'picture'} for row in _rows(found, labels)]
    return json.dumps({'picture': found.name, 'points': rows})


def _rows(found: PointTransfer, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    for label, (x, y), sure in zip(labels, found.points.tolist(), found.confidence.tolist()):
        values = (found.name, label, round(x, 3), round(y, 3), round(sure, 4))
        yield dict(zip(_COLUMNS, values))


def _json_rows(text: str) -> list:
    content = json.loads(text)
    return content['points'] if isinstance(content, dict) else content


def _csv_rows(text: str) -> Iterator[dict]:
    return csv.DictReader(io.StringIO(text, newline=''), strict=True, skipinitialspace=True)
