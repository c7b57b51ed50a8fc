"""Whether an image is like those that a model knows: does its map turn when the image turns?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmcoordgan.geometry import canonical_grid, sample_image

ANGLE, ZOOM = math.radians(20), 0.78
"""Of the turned copies: they show nothing beyond the border."""
DOUBTFUL = 99
"""From this percentile on, results are doubtful."""


class Domain(NamedTuple):
    """How far an image is from those that a model knows."""

    score: float
    """Mean distance between the maps of turned copies and the turned map, in units of the
    frame."""
    percentile: float
    """Percentage of held-out images that the model knows better, 0..100."""

    @property
    def doubtful(self) -> bool:
        """Whether results on the image mean little."""
        return self.percentile >= DOUBTFUL


@torch.no_grad()
def map_error(networks: Any, images: Tensor, coords: Tensor) -> Tensor:
    """How far maps of turned copies are from the turned maps.

    An encoder that recognizes what it sees finds it again in a copy that is turned by 20 degrees
    either way and enlarged. Needs no generator and no reference.

    Args:
        networks: A :class:`~mmcoordgan.apis.TrainedNetworks`.
        images: RGB (B, 3, H, W) in [-1, 1].
        coords: Their maps (B, 2, h, w), as the encoder finds them.

    Returns:
        (B,): mean distances, in units of the frame.
    """
    total = coords.new_zeros(len(coords))
    for angle in (-ANGLE, ANGLE):
        cos, sin = ZOOM * math.cos(angle), ZOOM * math.sin(angle)
        turn = coords.new_tensor([[cos, -sin], [sin, cos]])

        def turned(values: Tensor, turn: Tensor = turn) -> Tensor:
            height, width = values.shape[-2:]
            grid = canonical_grid(height, width, device=values.device)
            places = torch.einsum('ij,jhw->ihw', turn, grid)
            return sample_image(values, places.expand(len(values), -1, -1, -1))

        found = networks.invert(turned(images)).coords
        total += (found - turned(coords)).norm(dim=1).mean(dim=(1, 2)) / 2
    return total


def domain_of(score: float, quantiles: Sequence[float]) -> Domain:
    """A score beside the quantiles of held-out images' scores, at equal steps from 0 to 100 %."""
    below = sum(score > value for value in quantiles)
    return Domain(score, 100 * below / len(quantiles))
