"""The analytic face behind :class:`ToyFaces`: which part is where, and the warp it is seen through.

Convention: all coordinates are (x, y), x to the right and y downwards. The image is the
align-corners grid ``linspace(-1, 1, size)``; the canonical frame is [-1, 1]^2 too. A warp goes from
image to canonical frame: it maps every pixel to the point of the canonical face that it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PARTS = {
    'background': ('background',),
    'skin': ('face', 'neck'),
    'hair': ('hair',),
    'eye': ('eye_white', 'iris', 'pupil', 'lash'),
    'brow': ('brow',),
    'nose': ('nose', 'nostril'),
    'mouth': ('lip', 'mouth_line'),
    'ear': ('ear',),
    'cloth': ('cloth', 'collar'),
}
"""The regions of each class, which have a colour each."""
CLASSES = tuple(PARTS)
REGIONS = sum(PARTS.values(), ())
REGION_INDEX = {name: index for index, name in enumerate(REGIONS)}
REGION_TO_CLASS = np.repeat(np.arange(len(PARTS)), list(map(len, PARTS.values()))).astype(np.uint8)

EYE_X, EYE_Y = 0.22, -0.02


def _ellipse(
    x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float
) -> np.ndarray:
    return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def face_regions(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Region of every canonical point (x, y): uint8 indices into ``REGIONS``, of the same shape."""
    side = np.abs(x)  # the face is symmetric
    regions = np.zeros(x.shape, np.uint8)

    def paint(where: np.ndarray, name: str) -> None:
        regions[where] = REGION_INDEX[name]

    paint(_ellipse(x, y, 0, -0.17, 0.62, 0.68) & (y < 0.34), 'hair')
    shoulders = _ellipse(x, np.minimum(y, 1.38), 0, 1.38, 0.88, 0.62)
    paint(shoulders, 'cloth')
    paint(shoulders & (side < 0.36 - 0.55 * (y - 0.76)) & (y < 1.3), 'collar')
    paint((side < 0.27 - 0.55 * np.maximum(y - 0.76, 0)) & (y > 0.4) & (y < 1.25), 'neck')
    paint(_ellipse(side, y, 0.5, 0.06, 0.13, 0.17), 'ear')

    half_width = 0.48 - 0.16 * np.clip(y - 0.1, 0, 1) ** 1.5
    face = (x / half_width) ** 2 + ((y - 0.09) / 0.6) ** 2 <= 1
    paint(face, 'face')
    paint(face & (y < -0.38 + 1.1 * x**2), 'hair')

    width = 0.035 + 0.05 * np.clip(y / 0.2, 0, 1)
    paint(((side < width) & (y > 0) & (y < 0.22)) | _ellipse(x, y, 0, 0.215, 0.115, 0.07), 'nose')
    paint(_ellipse(side, y, 0.055, 0.245, 0.03, 0.022), 'nostril')

    bow = 0.425 + 0.02 * np.cos(np.clip(side / 0.1, 0, 1) * np.pi)  # the bow of the upper lip
    lip_y = np.where(y < 0.43, (y - 0.43) / (bow - 0.325), (y - 0.43) / 0.1)
    paint((x / 0.23) ** 2 + lip_y**2 <= 1, 'lip')
    paint((side < 0.19) & (np.abs(y - 0.45 + 0.6 * x**2) < 0.02), 'mouth_line')

    arch = -0.255 + 1.3 * (side - EYE_X - 0.03) ** 2
    paint((np.abs(side - EYE_X - 0.01) < 0.17) & (np.abs(y - arch) < 0.042), 'brow')

    paint(_ellipse(side, y, EYE_X, EYE_Y, 0.155, 0.105), 'lash')
    paint(_ellipse(side, y, EYE_X, EYE_Y + 0.018, 0.145, 0.09), 'eye_white')
    paint(_ellipse(side, y, EYE_X, EYE_Y + 0.01, 0.077, 0.088), 'iris')
    paint(_ellipse(side, y, EYE_X, EYE_Y + 0.012, 0.045, 0.05), 'pupil')
    return regions


def face_labels(coords: np.ndarray) -> np.ndarray:
    """Class of every canonical point (2, ...), x first: uint8 indices (...) into ``CLASSES``."""
    return REGION_TO_CLASS[face_regions(coords[0], coords[1])]


@dataclass(frozen=True)
class Warp:
    """How an image sees the canonical face."""

    scale: float  # Size of the face in the image; 1 fills it as the canonical frame does
    log_aspect: float  # Logarithm of width over height, in addition to scale
    angle: float  # Rotation in radians
    shift: np.ndarray  # Position (x, y) of the canonical origin in the image
    displacement: np.ndarray
    """(2, 4, 4) offsets in the canonical frame, on the grid linspace(-1, 1, 4)."""


def draw_warp(rng: np.random.Generator, strength: float = 1.0) -> Warp:
    """Random pose and shape; strength 0 gives the canonical face itself, 1 the full variation."""
    scale, aspect, angle, shift_x, shift_y = rng.uniform(-1, 1, 5) * strength
    return Warp(
        scale=float(1 + scale * (0.22 if scale > 0 else 0.15)),
        log_aspect=float(0.13 * aspect),
        angle=float(np.deg2rad(14) * angle),
        shift=0.21 * np.array([shift_x, shift_y]),
        displacement=0.065 * strength * rng.standard_normal((2, 4, 4)),
    )


def _cubic_weights(positions: np.ndarray) -> np.ndarray:
    """(N, 4) weights of cubic convolution (a = -0.5) over the nodes linspace(-1, 1, 4).

    The nodes at the ends are repeated. A polynomial through the nodes would fold 8 % of the warps.
    """
    steps = (positions + 1) * 1.5
    cell = np.clip(np.floor(steps).astype(int), 0, 2)
    rows = np.arange(positions.size)
    weights = np.zeros((positions.size, 4))
    for offset in (-1, 0, 1, 2):
        d = np.abs(steps - cell - offset)
        near = 1.5 * d**3 - 2.5 * d**2 + 1
        far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        weights[rows, np.clip(cell + offset, 0, 3)] += np.where(d <= 1, near, far * (d < 2))
    return weights


def warp_grid(warp: Warp, positions: np.ndarray) -> np.ndarray:
    """Canonical coordinates (2, N, N) float32, x first, of a square grid of image positions.

    ``positions`` (N,) are image coordinates along one axis, [-1, 1] being the image. Values may
    leave [-1, 1].
    """
    x, y = positions - warp.shift[0], positions - warp.shift[1]
    cos, sin = np.cos(warp.angle), np.sin(warp.angle)
    stretch = np.exp(0.5 * warp.log_aspect)
    rotated_x = cos * x[None, :] + sin * y[:, None]
    rotated_y = cos * y[:, None] - sin * x[None, :]
    affine = np.stack([rotated_x / stretch, rotated_y * stretch]) / warp.scale
    weights = _cubic_weights(positions)
    return (affine + weights @ warp.displacement @ weights.T).astype(np.float32)
