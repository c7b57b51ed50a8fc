"""Draw points and matches on images."""

from __future__ import annotations

import cv2
import numpy as np

from mmcoordgan.datasets.label_files import default_palette

from .grids import arrange_cells

LEAST_SIDE, LARGEST_CELL = 256, 512


def draw_points(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of an image (H, W, 3) uint8 RGB with its points, enlarged to at least 256 pixels.

    ``points`` are (N, 2), x and y in pixels. Point n has the colour of label n % 255 + 1 in
    :func:`~mmcoordgan.datasets.label_files.default_palette`, in all images.
    """
    factor = max(1, -(-LEAST_SIDE // max(image.shape[:2])))
    canvas = np.ascontiguousarray(image.repeat(factor, 0).repeat(factor, 1))
    radius = max(2, max(canvas.shape[:2]) // 100)
    colors = default_palette().tolist()
    for number, point in enumerate(points):
        centre = np.rint((point + 0.5) * factor - 0.5).astype(int).tolist()
        cv2.circle(canvas, centre, radius + 1, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, radius, colors[number % 255 + 1], -1, cv2.LINE_AA)
    return canvas


def draw_matches(
    a: np.ndarray, b: np.ndarray, matches: np.ndarray, confidence: np.ndarray
) -> np.ndarray:
    """Image a, image b, b's colours at a's matches, and the confidence (white: sure), in a row.

    Images are (H, W, 3) uint8 RGB. ``matches`` (2, H, W) of a's pixels are x and y in pixels of b,
    ``confidence`` (H, W) is in [0, 1].
    """
    side = min(LARGEST_CELL, max(a.shape[:2]))
    first, second = (
        cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in (a, b)
    )
    rows, columns = (((np.arange(side) + 0.5) * n / side).astype(int) for n in a.shape[:2])
    x, y = matches[:, rows[:, None], columns]
    x, y = (x + 0.5) * side / b.shape[1] - 0.5, (y + 0.5) * side / b.shape[0] - 0.5
    carried = cv2.remap(second, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sure = np.rint(255 * confidence[rows[:, None], columns]).astype(np.uint8)
    return arrange_cells([[first, second, carried, np.repeat(sure[..., None], 3, axis=2)]])
