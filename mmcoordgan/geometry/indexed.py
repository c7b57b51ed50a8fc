"""Correspondence maps that are looked up many times, and which pixels are near each other."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ._blocks import Blocks, make_blocks
from ._checks import check_coords
from ._near import in_triton, nearest_index


class IndexedCoords:
    """Correspondence maps, sorted once for any number of transfers.

    Takes the place of ``source_coords`` or ``target_coords`` in
    :func:`~mmcoordgan.geometry.soft_transfer` and :func:`~mmcoordgan.geometry.hard_transfer`;
    results are the same, and gradients reach ``coords``.

    Convention: x first, in the canonical frame [-1, 1], as
    :func:`~mmcoordgan.geometry.canonical_grid`.

    Args:
        coords: (B, 2, H, W). Must not change afterwards.
        name: Of ``coords`` in errors.

    Raises:
        ValueError: If ``coords`` is not of this shape.
    """

    def __init__(self, coords: Tensor, name: str = 'coords'):
        check_coords(name, coords)
        self.coords = coords

    @cached_property
    def blocks(self) -> Blocks:
        """The points in blocks of neighbors, made on first use."""
        points = self.coords.detach().flatten(2)
        return make_blocks(points.to(torch.promote_types(points.dtype, torch.float32)))


def points_of(*maps: IndexedCoords, batch: int) -> list[Tensor]:
    """Points (batch, 2, N) of each map, in one dtype of 24 bits or more."""
    dtype = torch.float32
    for m in maps:
        dtype = torch.promote_types(dtype, m.coords.dtype)
    return [m.coords.flatten(2).to(dtype).expand(batch, -1, -1) for m in maps]


@torch.no_grad()
def nearest_pixel(source: IndexedCoords, target: IndexedCoords) -> Tensor:
    """Number (B, M) of the source pixel that is nearest to each target pixel, or one of them."""
    batch = max(len(source.coords), len(target.coords))
    targets, sources = points_of(target, source, batch=batch)
    if in_triton(targets):
        from ._triton import nearest_of_all

        return nearest_of_all(targets, sources)
    blocks = [m.blocks.of_batch(batch, targets.dtype) for m in (target, source)]
    return nearest_index(blocks[0], blocks[1], targets, sources)
