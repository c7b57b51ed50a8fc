"""Correspondence maps that are looked up many times."""

from __future__ import annotations

import torch
from torch import Tensor

from ._blocks import make_blocks
from ._checks import check_coords


class IndexedCoords:
    """Correspondence maps, sorted once for any number of transfers.

    Takes the place of ``source_coords`` or ``target_coords`` in
    :func:`~mmcoordgan.geometry.soft_transfer` and :func:`~mmcoordgan.geometry.hard_transfer`;
    results are the same, and gradients reach ``coords``.

    Convention: x first, in the canonical frame [-1, 1], as
    :func:`~mmcoordgan.geometry.canonical_grid`.

    Args:
        coords: (B, 2, H, W). Must not change afterwards.

    Raises:
        ValueError: If ``coords`` is not of this shape.
    """

    def __init__(self, coords: Tensor):
        check_coords('coords', coords)
        self.coords = coords
        points = coords.detach().flatten(2)
        self.blocks = make_blocks(points.to(torch.promote_types(points.dtype, torch.float32)))
