"""Where the pixels of one picture lie in another, and how sure that is.

Everything here is in shares of a picture's sides, whatever its size: (0, 0) is the corner of the
top left pixel, (1, 1) that of the last, and the centre of pixel (i, j) of n x n lies at
((j + 0.5) / n, (i + 0.5) / n). Squeezing a picture to a square does not change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import IndexedCoords, carry

PUBLISHED_TEMPERATURE, PUBLISHED_WIDTH = 0.01, 128
FULL_DOUBT = 0.1
"""Cycle distance from which on the confidence is 0: a tenth of the picture's side."""


class MatchField(NamedTuple):
    """For each pixel of a map of picture a, its match in picture b."""

    displacement: Tensor
    """(1, 2, h, w): from the pixel to its match, x first, in shares of the sides."""
    cycle_distance: Tensor
    """(1, 1, h, w): from the pixel to where the way to b and back ends."""


def default_temperature(width: int) -> float:
    """The published temperature in pixels: 0.01 at 128 x 128 maps, 0.04 at 32 x 32."""
    return PUBLISHED_TEMPERATURE * PUBLISHED_WIDTH / width


def pixel_centres(size: Sequence[int], like: Tensor) -> Tensor:
    """(1, 2, height, width): the centres of the pixels of a picture of this size, x first."""
    height, width = size
    x = (torch.arange(width, device=like.device, dtype=torch.float32) + 0.5) / width
    y = (torch.arange(height, device=like.device, dtype=torch.float32) + 0.5) / height
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def match_field(a: IndexedCoords, b: IndexedCoords, temperature: float) -> MatchField:
    """Match each pixel of ``a`` to a place in ``b``, and that place back to ``a``.

    The positions of b's pixels are carried to a's as values, so that matches lie between pixels.

    Args:
        a: Map (1, 2, h, w).
        b: Map (1, 2, H, W).
        temperature: Of the soft correspondence, in units of the frame; 0 takes the nearest pixel.
    """
    start = pixel_centres(a.coords.shape[-2:], a.coords)
    there = carry(pixel_centres(b.coords.shape[-2:], b.coords), b, a, temperature)
    arrived = _sample(b.coords.float(), there)  # what b shows at the matches
    back = carry(start, a, arrived, temperature)
    return MatchField(there - start, (back - start).norm(dim=1, keepdim=True))


def at_size(field: MatchField, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Matches and cycle distances of every pixel of a picture of another size.

    Displacements are enlarged bilinearly, not matches: where nothing moves, nothing moves after.

    Returns:
        (2, height, width) in [0, 1], and (height, width).
    """
    moved = _resize(field.displacement, height, width)
    matches = (moved + pixel_centres((height, width), moved)).clamp(0, 1)
    return matches[0], _resize(field.cycle_distance, height, width)[0, 0]


def at_points(field: MatchField, points: Tensor) -> tuple[Tensor, Tensor]:
    """Matches and cycle distances of points.

    Args:
        field: From the picture that the points lie in.
        points: (N, 2), x first, in [0, 1].

    Returns:
        (N, 2) in [0, 1], and (N,).
    """
    places = points.T[None, :, None]  # (1, 2, 1, N)
    moved = _sample(field.displacement, places)[0, :, 0].T
    return (points + moved).clamp(0, 1), _sample(field.cycle_distance, places)[0, 0, 0]


def confidence(cycle_distance: Tensor) -> Tensor:
    """1 where the way to b and back ends at the pixel, 0 from :data:`FULL_DOUBT` on; linear."""
    return (1 - cycle_distance / FULL_DOUBT).clamp(min=0)


def to_pixels(places: Tensor, shape: tuple[int, int]) -> Tensor:
    """Shares (2, ...) as pixels (x, y) of a picture of ``shape`` (H, W), inside it."""
    size = places.new_tensor([shape[1], shape[0]]).view(2, *[1] * (places.dim() - 1))
    return torch.minimum((places * size - 0.5).clamp(min=0), size - 1)


def to_shares(points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Pixels (N, 2) of a picture of ``shape`` (H, W) as shares."""
    return (points + 0.5) / points.new_tensor([shape[1], shape[0]])


def _sample(values: Tensor, places: Tensor) -> Tensor:
    """(1, C, H, W) at the places (1, 2, h, w), bilinearly: (1, C, h, w)."""
    grid = 2 * places.permute(0, 2, 3, 1) - 1
    return F.grid_sample(values, grid, padding_mode='border', align_corners=False)


def _resize(values: Tensor, height: int, width: int) -> Tensor:
    if values.shape[-2:] == (height, width):
        return values
    return F.interpolate(values, (height, width), mode='bilinear', align_corners=False)
