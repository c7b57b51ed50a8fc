"""Nearest neighbours between sets of points in the plane."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_PAIRS = 2**20
"""Largest number of point pairs that are held in memory at once."""


def chunk_size(batch: int, num_points: int) -> int:
    """How many points can face ``num_points`` others at once within :data:`MAX_PAIRS`."""
    return max(1, MAX_PAIRS // (batch * num_points))


@torch.no_grad()
def nearest_index(points: Tensor, queries: Tensor) -> Tensor:
    """Index of the point nearest to each query.

    Args:
        points: (B, 2, N).
        queries: (B, 2, M).

    Returns:
        (B, M), int64 in [0, N). Among equally near points any may be chosen.
    """
    batch, _, num_points = points.shape
    chosen = []
    for query in queries.split(chunk_size(batch, num_points), dim=2):
        dx = query[:, 0, :, None] - points[:, 0, None, :]  # (B, m, N)
        dy = query[:, 1, :, None] - points[:, 1, None, :]
        chosen.append((dx * dx).addcmul_(dy, dy).argmin(dim=2))
    return torch.cat(chosen, dim=1)
