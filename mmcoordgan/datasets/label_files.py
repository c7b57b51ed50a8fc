"""Label masks in image files: the indices of a palette image or the values of a grey one."""

from __future__ import annotations

import numpy as np

from .loading import open_image, turn_upright


def read_label_image(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels (H, W), integers, of an image file, and the colors (n, 3) uint8 of its palette.

    Raises:
        BrokenImageError: The file is missing or cannot be read.
        ValueError: It is no image of labels; says what it is.
    """
    with open_image(path, what='mask') as image:
        step = 1  # what Pillow multiplies grey values of 2 or 4 bits by
        for *_, coding in getattr(image, 'tile', ()):  # a text, or a tuple that begins with one
            step = {'L;2': 85, 'L;4': 17}.get(coding if isinstance(coding, str) else coding[0], 1)
        turn_upright(image)
        kind, mode, labels = image.format, image.mode, np.array(image) // step
        colors = image.getpalette('RGB') if mode == 'P' else None
    if kind in ('JPEG', 'JPEG2000'):
        raise ValueError(f'mask {path} is a {kind}, whose compression changes labels: use PNG')
    if mode not in ('P', 'L', '1') and not mode.startswith('I'):
        raise ValueError(
            f'mask {path} is a color image (mode {mode}): it must have one label per pixel, as '
            'the index of a palette PNG or the value of a grey one'
        )
    return labels, None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)


def default_palette(count: int = 256) -> np.ndarray:
    """Colors for labels, (count, 3) uint8 RGB: black for 0, then far apart (PASCAL VOC's).

    Bits 0, 3 and 6 of a label are the upper bits of red, 1, 4 and 7 those of green, and so on.
    """
    labels = np.arange(count)
    palette = np.zeros((count, 3), np.uint8)
    for channel in range(3):
        for step in range(3):
            bit = labels >> (3 * step + channel) & 1
            palette[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return palette
