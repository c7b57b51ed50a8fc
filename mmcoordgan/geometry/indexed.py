"""Correspondence maps that are looked up many times, and which pixels are near each other."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ._blocks import Blocks, make_blocks
from ._device import in_triton
from ._near import nearest_index

LIMIT = 1e12  # largest coordinate whose distances fit into float32, with room to spare


class IndexedCoords:
    """Correspondence maps, sorted once for any number of transfers.

    Takes the place of ``source_coords`` or ``target_coords`` in
    :func:`~mmcoordgan.geometry.soft_transfer` and :func:`~mmcoordgan.geometry.hard_transfer`;
    results are the same, and gradients reach ``coords``.

    Convention: ``coords`` (B, 2, H, W) are x first, in [-1, 1], as
    :func:`~mmcoordgan.geometry.canonical_grid`; they must not change afterwards. The ValueError for
    another shape calls them ``name``.
    """

    def __init__(self, coords: Tensor, name: str = 'coords'):
        if coords.dim() != 4 or coords.shape[1] != 2:
            raise ValueError(f'{name} must have shape (B, 2, H, W), but got {tuple(coords.shape)}')
        self.coords = coords

    @property
    def points(self) -> Tensor:
        """(B, 2, N), in 24 bits or more; NaN where a coordinate is beyond 1e12."""
        points = self.coords.flatten(2)
        points = points.to(torch.promote_types(points.dtype, torch.float32))
        return points.masked_fill(points.detach().abs() > LIMIT, math.nan)

    @cached_property
    def blocks(self) -> Blocks:
        """The points in blocks of neighbors, made on first use."""
        return make_blocks(self.points.detach())


def points_of(*maps: IndexedCoords, batch: int) -> list[Tensor]:
    """Points (batch, 2, N) of two maps, in one dtype."""
    given = [m.points for m in maps]
    dtype = torch.promote_types(*(points.dtype for points in given))
    return [points.to(dtype).expand(batch, -1, -1) for points in given]


@torch.no_grad()
def nearest_pixel(source: IndexedCoords, target: IndexedCoords) -> Tensor:
    """Number (B, M) of the source pixel that is nearest to each target pixel, or one of them."""
    batch = max(len(source.coords), len(target.coords))
    targets, sources = points_of(target, source, batch=batch)
    if in_triton(sources, targets):
        from ._triton import nearest_of_all

        return nearest_of_all(targets, sources)[0]
    blocks = [m.blocks.of_batch(batch, targets.dtype) for m in (target, source)]
    return nearest_index(blocks[0], blocks[1], targets, sources)
