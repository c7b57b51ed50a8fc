"""What the inferencer returns: arrays, with the name and size of the image they belong to.

Convention: points are (x, y) in pixels of the image's own size, as a viewer shows it: x to the
right, y down, (0, 0) the centre of the top left pixel, (W - 1, H - 1) that of the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .domain import Domain


class Encoding(NamedTuple):
    """What the encoder finds in an image."""

    name: str
    """Path of the image, or 'image 0' and so on if it came as an array."""
    shape: tuple[int, int]
    """(H, W) of the image itself."""
    structure_w: np.ndarray | None
    """(structure_width,) float32; None if the encoder finds the map without a structure code."""
    texture_w: np.ndarray
    """(num_texture_codes, texture_width) float32, or (texture_width,) if layers share one."""
    coords: np.ndarray
    """(2, h, w) float32: the correspondence map, x first, in (-1, 1), at the generator's size."""
    image: np.ndarray
    """(s, s, 3) uint8 RGB: the image as the networks see it, squeezed to a square."""
    domain: Domain | None = None
    """Whether the image is like those that the model knows; None if that was not asked, or the
    model's file does not say."""
    map_error: np.ndarray | None = None
    """(h, w) float32: how far the map is off where the image is turned, in units of the frame."""
    crop: np.ndarray | None = None
    """(2, 3): from places in the square that the networks see, (0, 0) to (1, 1), to pixels of the
    image, x first."""


class Correspondence(NamedTuple):
    """The match in image b of each pixel of image a."""

    matches: np.ndarray
    """(2, Ha, Wa) float32: (x, y) in pixels of b's own size."""
    cycle_distance: np.ndarray
    """(Ha, Wa) float32: the cycle error, from the pixel to the match of its match, as a fraction
    of the sides of a: sqrt((dx / Wa)^2 + (dy / Ha)^2)."""
    confidence: np.ndarray
    """(Ha, Wa) float32 in [0, 1]: 1 - error / 0.1, at least 0, where the error is the expected one
    as a fraction of the side, or else the cycle distance."""
    expected_error: np.ndarray | None = None
    """(Ha, Wa) float32: the mean error of matches like this one, in pixels of b; None if that was
    not asked, or the model's file does not say."""
    domains: tuple[Domain | None, Domain | None] = (None, None)
    """Of a and b, as in :class:`Encoding`."""


class LabelTransfer(NamedTuple):
    """Labels carried to an image."""

    name: str
    labels: np.ndarray
    """(H, W) uint8, at the image's own size: the arg max of the probabilities, enlarged
    bilinearly."""
    probabilities: np.ndarray
    """(C, h, w) float32 at the size of the correspondence maps; sum to 1 at every pixel."""
    classes: np.ndarray
    """(C,) uint8: the label that each probability belongs to."""
    domain: Domain | None = None
    """As in :class:`Encoding`."""


class PointTransfer(NamedTuple):
    """Points carried to an image."""

    name: str
    points: np.ndarray
    """(N, 2) float32: (x, y) in pixels of the image's own size."""
    confidence: np.ndarray
    """(N,) float32 in [0, 1], as :class:`Correspondence`."""
    expected_error: np.ndarray | None = None
    """(N,) float32: in pixels of the image, as :class:`Correspondence`."""
    domain: Domain | None = None
    """As in :class:`Encoding`."""


class Rendering(NamedTuple):
    """A generated image."""

    name: str
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    coords: np.ndarray
    """(2, h, w) float32: its correspondence map."""
