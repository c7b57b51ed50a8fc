"""What the inferencer gives back: arrays, with the name and the size of the picture they belong to.

Convention: points are (x, y) in pixels of the picture's own size, as a viewer shows it: x to the
right, y downwards, (0, 0) the centre of the top left pixel, (W - 1, H - 1) that of the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Encoding(NamedTuple):
    """What the encoder sees in a picture."""

    name: str
    """Path of the picture, or 'picture 0' and so on where it came as an array."""
    shape: tuple[int, int]
    """(H, W) of the picture itself."""
    structure_w: np.ndarray
    """(structure_width,) float32."""
    texture_w: np.ndarray
    """(num_texture_codes, texture_width) float32, or (texture_width,) where layers share one."""
    coords: np.ndarray
    """(2, h, w) float32: the correspondence map, x first, in (-1, 1), at the generator's size."""
    reconstruction: np.ndarray
    """(S, S, 3) uint8 RGB: the codes, rendered, at the generator's size."""
    image: np.ndarray
    """(s, s, 3) uint8 RGB: the picture as the networks get it, squeezed to a square."""


class Correspondence(NamedTuple):
    """Where each pixel of a picture a lies in a picture b."""

    matches: np.ndarray
    """(2, Ha, Wa) float32: (x, y) in pixels of b's own size."""
    cycle_distance: np.ndarray
    """(Ha, Wa) float32: how far from the pixel the way to b and back ends, as a share of the
    sides of a: sqrt((dx / Wa)^2 + (dy / Ha)^2)."""
    confidence: np.ndarray
    """(Ha, Wa) float32 in [0, 1]: 1 - cycle_distance / 0.1, at least 0."""


class LabelTransfer(NamedTuple):
    """Labels carried to a picture."""

    name: str
    labels: np.ndarray
    """(H, W) uint8, at the picture's own size: the arg max of the probabilities, which are
    enlarged bilinearly."""
    probabilities: np.ndarray
    """(C, h, w) float32 at the size of the correspondence maps; sum to 1 at every pixel."""
    classes: np.ndarray
    """(C,) uint8: the label that each probability belongs to."""


class PointTransfer(NamedTuple):
    """Points carried to a picture."""

    name: str
    points: np.ndarray
    """(N, 2) float32: (x, y) in pixels of the picture's own size."""
    confidence: np.ndarray
    """(N,) float32 in [0, 1], as :class:`Correspondence`."""


class Rendering(NamedTuple):
    """A generated picture."""

    name: str
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    coords: np.ndarray
    """(2, h, w) float32: its correspondence map."""
