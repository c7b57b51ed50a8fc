"""How far a coordinate map is from covering the canonical frame evenly."""

from __future__ import annotations

import torch
from torch import Tensor

from .grid import canonical_grid
from .indexed import IndexedCoords, nearest_pixel


def chamfer_to_grid(coords: Tensor) -> Tensor:
    r"""Symmetric chamfer distance between a coordinate map and the canonical grid.

    .. math::
        \frac{1}{N} \sum_p \min_q \lVert c(p) - g(q) \rVert^2
        + \frac{1}{N} \sum_q \min_p \lVert c(p) - g(q) \rVert^2

    with the canonical grid :math:`g` of the map's own size (CoordGAN). Differentiable. Maps
    (B, 2, H, W) -> (B,), >= 0; 0 exactly where a map is a permutation of the grid.

    Convention: x first, linspace(-1, 1) (:func:`canonical_grid`).
    """
    indexed = IndexedCoords(coords)
    height, width = coords.shape[-2:]
    grid = canonical_grid(height, width, coords.device, coords.dtype)
    points = coords.flatten(2)  # (B, 2, N)
    targets = grid.flatten(1)
    to_grid = (points - _round_to_grid(points.detach(), height, width)).square().sum(1)
    index = nearest_pixel(indexed, IndexedCoords(grid[None]))  # (B, N)
    nearest = points.gather(2, index[:, None].expand_as(points))
    from_grid = (nearest - targets).square().sum(1)
    return to_grid.mean(1) + from_grid.mean(1)


def _round_to_grid(points: Tensor, height: int, width: int) -> Tensor:
    """The point of the canonical grid nearest to each of ``points`` (B, 2, N)."""
    rounded = []
    for values, size in zip(points.unbind(1), (width, height)):
        intervals = max(size - 1, 1)
        place = ((values + 1) / 2 * intervals).round().clamp(0, size - 1)
        rounded.append(place / intervals * 2 - 1)
    return torch.stack(rounded, dim=1)
