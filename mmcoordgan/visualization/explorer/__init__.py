"""The explorer: one HTML page that needs no server, no network and nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from mmcoordgan.geometry import canonical_grid

from ..colors import coords_to_colors

MIN_PICTURES, MAX_PICTURES = 2, 16
MIN_SIZE, MAX_SIZE = 8, 256  # of maps; the page numbers pixels in 16 bits
LEVELS = 65535
DOUBTFUL = 'Doubtful'
COLORS = 64  # the page knows the colours of so many places along each side of the frame
LARGEST_SIDE = 384  # images are shown with at most this many pixels along their longer side
_LOSSLESS_SIDE = 128  # up to here a PNG is small
_PIXELATED_SIDE = 64  # up to here pixels are shown as squares

_FOLDER = Path(__file__).parent
# In this order: each may use what stands in those before it.
_SCRIPTS = ['correspondence', 'annotations', 'brush', 'labels', 'saved', 'picture', 'keys', 'main']


class ExplorerPicture(NamedTuple):
    """An image to explore."""

    name: str  # Shown beside the image; any text
    image: np.ndarray  # (H, W, 3) uint8 RGB, of any size and aspect ratio
    coords: Tensor
    """(2, S, S): its correspondence map, x first, in [-1, 1], stretched over the whole image."""
    warning: str = ''  # Shown on the image; its matches are then doubtful
    map_error: np.ndarray | None = None  # (S, S): how far the map is off, in units of the frame


class Accuracy(NamedTuple):
    """How far off matches are; see :class:`mmcoordgan.apis.domain.HeldOut`."""

    temperature: float  # Of the soft transfer
    doubts: Sequence[float]  # Increasing
    errors: Sequence[float]  # Mean errors of matches of these doubts, as fractions of the side


def quantize_coords(coords: Tensor) -> np.ndarray:
    """Round maps (..., 2, H, W) to 65536 levels, uint16; the page knows only these.

    Convention: x first; level 0 is -1, level 65535 is 1, and values beyond are clamped. A level is
    1/516 of the distance of pixels in a canonical map of 128 x 128.
    """
    values = coords.detach().cpu().double().numpy()
    return np.rint((values.clip(-1, 1) + 1) * (LEVELS / 2)).astype(np.uint16)


def explorer_page(
    pictures: Sequence[ExplorerPicture],
    title: str = 'Correspondence explorer',
    accuracy: Accuracy | None = None,
) -> str:
    """An HTML page that shows which pixels of the images correspond.

    Pointing at a pixel of one image marks, in each other one, the pixel that
    :func:`mmcoordgan.geometry.hard_transfer` brings there on the maps of :func:`quantize_coords`
    (among equally near ones, the first in row order), with its expected error; without
    ``accuracy``, or where an image has no ``map_error``, with its cycle error. Points can be set,
    labels painted; they spread to all images and can be saved as JSON.

    The page holds its images, style and program. Its content security policy forbids it to load
    or send anything, and any program but its own. Names are shown as text, whatever they hold.

    Takes 2 to 16 images, with maps of one size S in 8..256.
    """
    if not MIN_PICTURES <= len(pictures) <= MAX_PICTURES:
        raise ValueError(
            f'the explorer shows {MIN_PICTURES} to {MAX_PICTURES} images, but got {len(pictures)}'
        )
    size = pictures[0].coords.shape[-1]
    known = accuracy is not None and all(p.map_error is not None for p in pictures)
    data = {
        'size': size,
        'colors': _base64(coords_to_colors(canonical_grid(COLORS, COLORS))),
        'accuracy': accuracy._asdict() if accuracy is not None and known else None,
        'pictures': [_picture(picture, size) for picture in pictures],
    }
    style = _read('page.css')
    script = '\n'.join(_read(f'{name}.js') for name in _SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Template(_read('page.html')).substitute(
        policy=policy,
        title=html.escape(_printable(title)),
        style=style,
        # Inside of a script element only "<" could end it or open a comment.
        data=json.dumps(data).replace('<', '\\u003c'),
        script=script,
    )


def _picture(picture: ExplorerPicture, size: int) -> dict[str, Any]:
    name = _printable(picture.name)
    shape = tuple(picture.coords.shape)
    if shape != (2, size, size) or not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(
            f'maps must be (2, S, S) with one S in {MIN_SIZE}..{MAX_SIZE} for all images, but '
            f'that of {name} is {shape}'
        )
    height, width = picture.image.shape[:2]
    coords = quantize_coords(picture.coords).astype('<u2')
    error = np.zeros(0) if picture.map_error is None else picture.map_error
    return {
        'name': name,
        'warning': picture.warning,
        'width': width,
        'height': height,
        'pixelated': max(width, height) <= _PIXELATED_SIDE,
        'image': _data_url(picture.image),
        'map': _base64(coords),
        'error': _base64(np.rint(255 * error.clip(0, 1)).astype(np.uint8)),
    }


def _data_url(image: np.ndarray) -> str:
    """The image inside a URL, reduced to :data:`LARGEST_SIDE`."""
    buffer = io.BytesIO()
    picture = Image.fromarray(image)
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    kind = 'png' if max(picture.size) <= _LOSSLESS_SIDE else 'jpeg'
    picture.save(buffer, kind, optimize=True, quality=90)
    return f'data:image/{kind};base64,{_base64(buffer.getvalue())}'


def _base64(values: bytes | np.ndarray) -> str:
    return base64.b64encode(bytes(values)).decode('ascii')


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding='utf-8')


def _hash(text: str) -> str:
    """What a content security policy calls an inline script or style by."""
    return f"'sha256-{_base64(hashlib.sha256(text.encode('utf-8')).digest())}'"


def _printable(name: str) -> str:
    """The text without what UTF-8 cannot say: file names may hold any bytes."""
    return name.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')
