"""Named points in files: CSV, or what the explorer saves, which also holds painted labels."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmcoordgan.datasets.loading import check_regular

from .outputs import FORMULA

EXPLORER = 'mmcoordgan explorer 1'
NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_points(path: str, image: str) -> tuple[list[str], np.ndarray]:
    """Labels and points (N, 2) float32 of an image; a point without a label gets its number.

    ``path`` is a CSV file whose header names the columns x, y and optionally label; x and y in
    pixels of the image, (0, 0) being the centre of the top left one. Or a file that the explorer
    saved, on a page with ``image``. OSError or ValueError says what is wrong with it.
    """
    labels, points = [], []
    try:
        text = _read(path)
        rows = _explorer_rows(text, image) if path.lower().endswith('.json') else _csv_rows(text)
        for number, (label, x, y) in enumerate(rows):
            points.append((float(x), float(y)))
            if not math.isfinite(sum(points[-1])):
                raise ValueError(f'point {number} is not finite')
            labels.append(label or str(number))
    except (*NONSENSE, csv.Error) as error:
        raise ValueError(f'{path} holds no points: {error}') from None
    if not points:
        raise ValueError(f'{path} holds no points')
    return labels, np.array(points, np.float32)


def read_painted(path: str, image: str, shape: tuple[int, int]) -> np.ndarray:
    """Labels (H, W) uint8 that were painted on an image in the explorer; 0 where none was."""
    try:
        saved, number = _saved(_read(path), image)
        labels = np.array(saved['pictures'][number]['labels'])
        if labels.shape != (saved['size'],) * 2 or not 0 <= labels.min() <= labels.max() <= 255:
            raise ValueError(f'its labels of {image} are damaged')
    except NONSENSE as error:
        raise ValueError(f'{path} holds no labels: {error}') from None
    size, flag = shape[::-1], cv2.INTER_NEAREST_EXACT
    return cv2.resize(labels.astype(np.uint8), size, interpolation=flag)


def _read(path: str) -> str:
    check_regular(path)
    return Path(path).read_bytes().decode('utf-8-sig', 'surrogateescape')


def _csv_rows(text: str) -> Iterator[tuple[str, Any, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=''), strict=True, skipinitialspace=True)
    if not {'x', 'y'} <= set(reader.fieldnames or ()):
        raise ValueError('its first line must name the columns x, y and optionally label')
    for row in reader:
        label = row.get('label') or ''
        quoted = label[:1] == "'" and label[1:].startswith(FORMULA)
        yield label[quoted:], row['x'], row['y']


def _saved(text: str, image: str) -> tuple[dict, int]:
    """What the explorer saved, and the number of the image on its page."""
    saved = json.loads(text)
    if saved['format'] != EXPLORER:
        raise ValueError('the explorer did not save it')
    names = [picture['name'] for picture in saved['pictures']]
    if names.count(os.path.basename(image)) != 1:
        raise ValueError(f'its images are {", ".join(names)}, not {os.path.basename(image)}')
    return saved, names.index(os.path.basename(image))


def _explorer_rows(text: str, image: str) -> Iterator[tuple[str, float, float]]:
    saved, number = _saved(text, image)
    picture, size = saved['pictures'][number], saved['size']
    for point in saved['points']:
        column, row = point['positions'][number]
        if point['label'] < 1:
            raise ValueError(f'a point has the label {point["label"]}')
        x = (column + 0.5) * picture['width'] / size - 0.5
        y = (row + 0.5) * picture['height'] / size - 0.5
        yield saved['labels'][point['label'] - 1]['name'], x, y
