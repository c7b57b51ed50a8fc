"""Label masks in files: one label in 0..255 per pixel."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmcoordgan.datasets.datasetgan import read_mask
from mmcoordgan.datasets.label_files import default_palette, read_label_image

NUM_LABELS = 256


class LabelMask(NamedTuple):
    """Labels of an image, and the colours in which their file shows them."""

    labels: np.ndarray
    """(H, W) uint8."""
    palette: np.ndarray | None = None
    """(n, 3) uint8 RGB, n <= 256; None if the file has no colours."""


def full_palette(palette: np.ndarray | None) -> np.ndarray:
    """256 colours (256, 3) uint8 RGB that begin with those of ``palette``."""
    colors = default_palette(NUM_LABELS)
    if palette is not None:
        colors[: len(palette)] = palette
    return colors


def read_label_mask(path: str | os.PathLike) -> LabelMask:
    """Labels from a palette or grey image, or from an integer array in a .npy file.

    Raises:
        BrokenImageError: If the file is missing, or cannot be read.
        ValueError: If it holds anything but labels in 0..255; says what.
    """
    path = os.fspath(path)
    if path.lower().endswith('.npy'):
        return LabelMask(read_mask(path, NUM_LABELS).astype(np.uint8))
    labels, palette = read_label_image(path)
    if labels.min() < 0 or labels.max() >= NUM_LABELS:
        raise ValueError(
            f'mask {path} holds labels {labels.min()}..{labels.max()}, but must lie in 0..255'
        )
    return LabelMask(labels.astype(np.uint8), palette)


def check_labels(labels: np.ndarray, shape: tuple[int, int], mask: str, image: str) -> None:
    """Raise ValueError unless ``labels`` are labels of an image of this height and width."""
    if labels.ndim != 2 or labels.dtype.kind not in 'iub' or not labels.size:
        raise ValueError(
            f'{mask} must be an array (H, W) of integers, but is {labels.shape} of {labels.dtype}'
        )
    if labels.min() < 0 or labels.max() >= NUM_LABELS:
        raise ValueError(f'{mask} holds labels {labels.min()}..{labels.max()}, not 0..255')
    if labels.shape != tuple(shape):
        (h, w), (height, width) = labels.shape, shape
        raise ValueError(
            f'mask and image differ in size: {mask} is {w}x{h} (width x height), but {image} '
            f'is {width}x{height}'
        )


def label_image(labels: np.ndarray, palette: np.ndarray | None = None) -> Image.Image:
    """A palette image: its pixels hold the labels, viewers show the colours.

    Args:
        labels: (H, W) uint8.
        palette: (n, 3) uint8 RGB; labels without a colour get one of the default palette.
    """
    image = Image.frombytes('P', labels.shape[::-1], np.ascontiguousarray(labels).tobytes())
    image.putpalette(full_palette(palette).tobytes())
    return image
