"""Label masks: one label for each pixel, in files and as arrays, and the colours that show them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image

from .loading import check_regular, open_image, turn_upright

NUM_LABELS = 256


def read_labels(
    path: str | os.PathLike, count: int = NUM_LABELS, void: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels (H, W) uint8 or int64 in 0..count-1, or ``void``, and the file's palette.

    ``path`` is a palette or grey image, or an array of integers in a .npy file. The palette is
    (n, 3) uint8 RGB, or None if the file has no colours.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It holds anything but such labels; says what.
    """
    path = os.fspath(path)
    labels, palette = _read_array(path) if path.lower().endswith('.npy') else read_mask(path)[:2]
    check_labels(labels, f'mask {path}', count, void)
    return labels.astype(np.uint8 if labels.max() < NUM_LABELS else np.int64), palette


def check_labels(
    labels: np.ndarray, name: str, count: int = NUM_LABELS, void: int | None = None
) -> None:
    """Raise ValueError unless ``labels`` are (H, W) integers in 0..count-1, or ``void``."""
    if labels.ndim != 2 or labels.dtype.kind not in 'iub' or not labels.size:
        raise ValueError(
            f'{name} must be an array (H, W) of integers, but is {labels.shape} of {labels.dtype}'
        )
    wrong = (labels < 0) | (labels >= count)
    if void is not None:
        wrong &= labels != void
    if wrong.any():
        found = ', '.join(map(str, np.unique(labels[wrong])[:5]))
        allowed = f'0..{count - 1}' if void is None else f'0..{count - 1} and {void}'
        raise ValueError(f'{name} holds {found}, but labels are {allowed}')


def check_size(labels: np.ndarray, name: str, image: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless ``labels`` have the height and width ``shape`` of ``image``."""
    if labels.shape != tuple(shape):
        (h, w), (height, width) = labels.shape, shape
        raise ValueError(
            f'mask and image differ in size: {name} is {w}x{h} (width x height), but {image} is '
            f'{width}x{height}'
        )


def label_image(labels: np.ndarray, palette: np.ndarray | None = None) -> Image.Image:
    """A palette image: its pixels hold labels (H, W) uint8, viewers show the colours."""
    image = Image.fromarray(labels)
    image.putpalette(full_palette(palette).tobytes())
    return image


def full_palette(palette: np.ndarray | None) -> np.ndarray:
    """256 colours (256, 3) uint8 RGB that begin with those of ``palette``."""
    colors = default_palette()
    if palette is not None:
        colors[: len(palette)] = palette
    return colors


def default_palette(count: int = NUM_LABELS) -> np.ndarray:
    """Colours for labels, (count, 3) uint8 RGB: black for 0, then far apart (PASCAL VOC's).

    Bits 0, 3 and 6 of a label are the upper bits of red, 1, 4 and 7 those of green, and so on.
    """
    labels = np.arange(count)
    palette = np.zeros((count, 3), np.uint8)
    for channel in range(3):
        for step in range(3):
            bit = labels >> (3 * step + channel) & 1
            palette[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return palette


def _read_array(path: str) -> tuple[Any, None]:
    try:
        check_regular(path)
        # Mapped, so that a header which claims a huge array sets no memory aside.
        return np.lib.format.open_memmap(path, mode='r'), None
    except Exception as error:
        raise OSError(f'cannot read mask {path}: {type(error).__name__}: {error}') from error


def read_mask(path: str) -> tuple[np.ndarray, np.ndarray | None, dict]:
    """Labels, palette and texts of an image file; see :func:`read_labels`."""
    with open_image(path, what='mask') as image:
        step = 1  # what Pillow multiplies grey values of 2 or 4 bits by
        for *_, coding in getattr(image, 'tile', ()):  # a text, or a tuple that begins with one
            step = {'L;2': 85, 'L;4': 17}.get(coding if isinstance(coding, str) else coding[0], 1)
        turn_upright(image)
        labels = np.array(image) // step
        colors = image.getpalette('RGB') if image.mode == 'P' else None
    if image.format in ('JPEG', 'JPEG2000'):
        raise ValueError(
            f'mask {path} is a {image.format}, whose compression changes labels: use PNG'
        )
    if image.mode not in ('P', 'L', '1') and not image.mode.startswith('I'):
        raise ValueError(
            f'mask {path} is a color image (mode {image.mode}): it must have one label per pixel, '
            'as the index of a palette PNG or the value of a grey one'
        )
    palette = None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)
    return labels, palette, image.info
