"""Label masks in files: one label in 0..255 per pixel."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmcoordgan.datasets import BrokenImageError
from mmcoordgan.datasets.datasetgan import read_mask
from mmcoordgan.datasets.loading import open_image, turn_upright
from mmcoordgan.engine.checkpoint_files import atomic_file

NUM_LABELS = 256


class LabelMask(NamedTuple):
    """Labels of a picture, and the colours in which their file shows them."""

    labels: np.ndarray
    """(H, W) uint8."""
    palette: np.ndarray | None = None
    """(n, 3) uint8 RGB, n <= 256; None where the file has no colours."""


def default_palette() -> np.ndarray:
    """Colours for 256 labels, (256, 3) uint8 RGB: black for 0, then far apart (PASCAL VOC's).

    Bits 0, 3 and 6 of a label are the upper bits of red, 1, 4 and 7 those of green, and so on.
    """
    labels = np.arange(NUM_LABELS)
    palette = np.zeros((NUM_LABELS, 3), np.uint8)
    for channel in range(3):
        for step in range(3):
            bit = labels >> (3 * step + channel) & 1
            palette[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return palette


def full_palette(palette: np.ndarray | None) -> np.ndarray:
    """256 colours that begin with those of ``palette``."""
    colors = default_palette()
    if palette is not None:
        colors[: len(palette)] = palette
    return colors


def read_label_mask(path: str | os.PathLike) -> LabelMask:
    """Labels from a palette or grey image, or from an integer array in a .npy file.

    An image is turned upright by its EXIF orientation, as pictures are. The indices of a palette
    image and the values of a grey one are the labels.

    Raises:
        BrokenImageError: If the file is missing, or cannot be read.
        ValueError: If it holds something else than labels; says what.
    """
    path = os.fspath(path)
    if path.lower().endswith('.npy'):
        return LabelMask(read_mask(path, NUM_LABELS).astype(np.uint8))
    try:
        with open_image(path) as image:
            step = _step(image)
            turn_upright(image)
            kind, mode, values = image.format, image.mode, np.array(image) // step
            colors = image.getpalette('RGB') if mode == 'P' else None
    except Exception as error:  # decoders raise SyntaxError, struct.error, EOFError, ...
        raise BrokenImageError(
            f'cannot read mask {path}: {type(error).__name__}: {error}'
        ) from error
    if kind in ('JPEG', 'JPEG2000'):
        raise ValueError(f'mask {path} is a {kind}, whose compression changes labels: use PNG')
    if mode not in ('P', 'L', '1') and not mode.startswith('I'):
        raise ValueError(
            f'mask {path} is a colour picture (mode {mode}): it must have one label per pixel, as '
            'the index of a palette PNG or the value of a grey one'
        )
    if values.min() < 0 or values.max() >= NUM_LABELS:
        raise ValueError(
            f'mask {path} holds labels {values.min()}..{values.max()}, but must lie in 0..255'
        )
    palette = None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)
    return LabelMask(values.astype(np.uint8), palette)


def _step(image: Image.Image) -> int:
    """What Pillow multiplies grey values of 2 or 4 bits by."""
    for *_, coding in getattr(image, 'tile', ()):  # a text, or a tuple that begins with one
        return {'L;2': 85, 'L;4': 17}.get(coding if isinstance(coding, str) else coding[0], 1)
    return 1


def check_labels(labels: np.ndarray, shape: tuple[int, int], mask: str, picture: str) -> None:
    """Raise ValueError unless ``labels`` are labels of a picture of this height and width."""
    if labels.ndim != 2 or labels.dtype.kind not in 'iub' or not labels.size:
        raise ValueError(
            f'{mask} must be an array (H, W) of integers, but is {labels.shape} of {labels.dtype}'
        )
    if labels.min() < 0 or labels.max() >= NUM_LABELS:
        raise ValueError(f'{mask} holds labels {labels.min()}..{labels.max()}, not 0..255')
    if labels.shape != tuple(shape):
        (h, w), (height, width) = labels.shape, shape
        raise ValueError(
            f'mask and picture differ in size: {mask} is {w}x{h} (width x height), but {picture} '
            f'is {width}x{height}'
        )


def write_label_png(
    path: str | os.PathLike, labels: np.ndarray, palette: np.ndarray | None = None
) -> None:
    """Write labels as a palette PNG: pixels hold the labels, viewers show the colours.

    Args:
        path: The file, replaced as a whole where it exists.
        labels: (H, W) uint8.
        palette: (n, 3) uint8 RGB; labels without a colour get one of :func:`default_palette`.
    """
    image = Image.frombytes('P', labels.shape[::-1], np.ascontiguousarray(labels).tobytes())
    image.putpalette(full_palette(palette).tobytes())
    with atomic_file(os.fspath(path)) as file:
        image.save(file, 'PNG')
