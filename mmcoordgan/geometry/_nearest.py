"""Nearest neighbours between sets of points in the plane."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_PAIRS = {'cpu': 2**17, 'other': 2**24}
"""Most point pairs held in memory at once: what a CPU's cache holds, what keeps a GPU busy."""


def chunk_size(points: Tensor) -> int:
    """How many queries can face all ``points`` (B, 2, N) at once within :data:`MAX_PAIRS`."""
    limit = MAX_PAIRS['cpu' if points.device.type == 'cpu' else 'other']
    return max(1, limit // (points.shape[0] * points.shape[2]))


@torch.no_grad()
def nearest_index(points: Tensor, queries: Tensor) -> Tensor:
    """Index of the point nearest to each query.

    Args:
        points: (B, 2, N).
        queries: (B, 2, M).

    Returns:
        (B, M), int64 in [0, N). Among equally near points any may be chosen.
    """
    chosen = []
    for query in queries.split(chunk_size(points), dim=2):
        dx = query[:, 0, :, None] - points[:, 0, None, :]  # (B, m, N)
        dy = query[:, 1, :, None] - points[:, 1, None, :]
        chosen.append((dx * dx).addcmul_(dy, dy).argmin(dim=2))
    return torch.cat(chosen, dim=1)
