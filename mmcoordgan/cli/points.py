"""What a user marked in an image: points in a CSV file, points and labels of the explorer."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmcoordgan.datasets.loading import check_regular
from mmcoordgan.io.tables import read_rows

EXPLORER = 'mmcoordgan explorer 1'
NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_points(path: str, image: str) -> tuple[list[str], np.ndarray]:
    """Labels and points (N, 2) float32 of an image; a point without a label gets its number.

    ``path`` is a CSV file whose header names the columns x, y and optionally label; x and y in
    pixels of the image, (0, 0) being the centre of the top left one. Or a file that the explorer
    saved, on a page with ``image``. OSError or ValueError says what is wrong with it.
    """
    explorer = path.lower().endswith('.json')
    rows = _explorer_points(path, image) if explorer else read_rows(path, ('x', 'y'))
    labels: list[str] = []
    points: list[tuple[float, float]] = []
    try:
        for row in rows:
            point = float(row['x']), float(row['y'])
            if not all(map(math.isfinite, point)):
                raise ValueError(f'point {len(points)} is not finite')
            labels.append(row.get('label') or str(len(points)))
            points.append(point)
        if not points:
            raise ValueError('it lists none')
    except NONSENSE as error:
        raise ValueError(f'{path} holds no points: {error}') from None
    return labels, np.array(points, np.float32)


def read_painted(path: str, image: str, shape: tuple[int, int]) -> np.ndarray:
    """Labels (H, W) uint8 that were painted on an image in the explorer; 0 where none was."""
    try:
        saved, number = _read_explorer(path, image)
        labels = np.array(saved['pictures'][number]['labels'])
        if labels.shape != (saved['size'],) * 2 or not 0 <= labels.min() <= labels.max() <= 255:
            raise ValueError(f'its labels of {image} are damaged')
    except NONSENSE as error:
        raise ValueError(f'{path} holds no labels: {error}') from None
    size, flag = shape[::-1], cv2.INTER_NEAREST_EXACT
    return cv2.resize(labels.astype(np.uint8), size, interpolation=flag)


def _read_explorer(path: str, image: str) -> tuple[dict, int]:
    """What the explorer saved, and the number of the image on its page."""
    check_regular(path)
    saved = json.loads(Path(path).read_bytes())
    if saved['format'] != EXPLORER:
        raise ValueError('the explorer did not save it')
    names = [picture['name'] for picture in saved['pictures']]
    if names.count(os.path.basename(image)) != 1:
        raise ValueError(f'its images are {", ".join(names)}, not {os.path.basename(image)}')
    return saved, names.index(os.path.basename(image))


def _explorer_points(path: str, image: str) -> Iterator[dict[str, Any]]:
    """Points as rows of a table, x and y in pixels of the image."""
    saved, number = _read_explorer(path, image)
    picture, size = saved['pictures'][number], saved['size']
    for point in saved['points']:
        column, row = point['positions'][number]
        if point['label'] < 1:
            raise ValueError(f'a point has the label {point["label"]}')
        x = (column + 0.5) * picture['width'] / size - 0.5
        y = (row + 0.5) * picture['height'] / size - 0.5
        yield dict(label=saved['labels'][point['label'] - 1]['name'], x=x, y=y)
