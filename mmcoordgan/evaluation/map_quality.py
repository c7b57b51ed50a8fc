"""Numbers about a generator's correspondence maps that need no labels."""

from __future__ import annotations

import torch
from torch import Tensor


def folded_fraction(coords: Tensor) -> float:
    """Fraction of pixels where maps (B, 2, H, W) fold, in [0, 1].

    Convention: coords x first; the determinant of the forward differences (right, down) is
    positive where the map keeps the orientation of the canonical grid.
    """
    right = coords[:, :, :-1, 1:] - coords[:, :, :-1, :-1]  # (B, 2, H - 1, W - 1)
    down = coords[:, :, 1:, :-1] - coords[:, :, :-1, :-1]
    determinant = right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0]
    return (~(determinant > 0)).double().mean().item()  # NaN folds


def structure_spread(coords: Tensor) -> float:
    """Standard deviation of maps (B, 2, H, W) over the batch, mean over pixels; B >= 2."""
    return coords.double().std(dim=0).mean().item()


def separation(same: Tensor, other: Tensor) -> float:
    """Probability that a pair of one structure is nearer than a pair of two (AUC); ties count half.

    ``same`` (N,) are distances of images of one structure in two textures, ``other`` (M,) of two
    structures in one texture.
    """
    ordered = other.sort().values
    beyond = len(ordered) - torch.searchsorted(ordered, same, right=True)
    at_least = len(ordered) - torch.searchsorted(ordered, same)
    return (beyond + at_least).double().mean().item() / (2 * len(ordered))
