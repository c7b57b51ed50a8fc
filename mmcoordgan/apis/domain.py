"""Whether an image is like those that a model knows: does its map turn when the image turns?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
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
    """Mean of :func:`map_error`, in units of the frame."""
    percentile: float
    """Percentage of held-out images that the model knows better, 0..100."""

    @property
    def doubtful(self) -> bool:
        """Whether results on the image mean little."""
        return self.percentile >= DOUBTFUL


class HeldOut(NamedTuple):
    """What a model does on images that it was not trained on; its file carries these numbers."""

    scores: tuple[float, ...]
    """Quantiles of the images' scores (:class:`Domain`), at equal steps from 0 to 100 %."""
    doubts: tuple[float, ...] = ()
    """Doubts of matches (``matching.match``), increasing."""
    errors: tuple[float, ...] = ()
    """The mean error of matches of each doubt, as a fraction of the side; empty if not measured."""

    def domain(self, score: float) -> Domain:
        """A score beside those of the held-out images."""
        return Domain(score, 100 * sum(score > other for other in self.scores) / len(self.scores))

    def expected_error(self, doubt: Tensor) -> Tensor:
        """The errors that go with doubts, as fractions of the side."""
        return torch.from_numpy(np.interp(doubt.cpu(), self.doubts, self.errors)).to(doubt)


def read_held_out(stored: Mapping[str, Any] | None) -> HeldOut | None:
    """Check what a file holds: lists of numbers."""
    if stored is None:
        return None
    found = HeldOut(*(tuple(map(float, stored.get(name, ()))) for name in HeldOut._fields))
    finite = all(math.isfinite(value) for values in found for value in values)
    if not found.scores or not finite or len(found.doubts) != len(found.errors):
        raise ValueError('its held_out is no lists of numbers')
    return found


@torch.no_grad()
def map_error(networks: Any, images: Tensor, coords: Tensor) -> Tensor:
    """How far maps of turned copies are from the turned maps: (B, 1, h, w), in units of the frame.

    An encoder that recognizes what it sees finds it again in a copy that is turned by 20 degrees
    either way and enlarged. Pixels that the copies do not show have the value of the nearest shown.
    ``coords`` (B, 2, h, w) are the maps that ``networks`` (TrainedNetworks) find in ``images``, RGB
    (B, 3, H, W) in [-1, 1].
    """
    total = torch.zeros_like(coords[:, :1])
    for angle in (-ANGLE, ANGLE):
        cos, sin = ZOOM * math.cos(angle), ZOOM * math.sin(angle)
        turn = coords.new_tensor([[cos, -sin], [sin, cos]])
        found = networks.quick_maps(_seen(images, turn, images))
        error = (found - _seen(coords, turn, found)).norm(dim=1, keepdim=True)
        total += _seen(error, turn.inverse(), coords) / 2
    return total


def _seen(values: Tensor, turn: Tensor, like: Tensor) -> Tensor:
    """Values (B, C, ., .) at the places ``turn @ place``, or at the border; (B, C, H, W)."""
    height, width = like.shape[-2:]
    grid = canonical_grid(height, width, device=values.device)
    places = torch.einsum('ij,jhw->ihw', turn, grid).clamp(-1, 1)
    return sample_image(values, places.expand(len(values), -1, -1, -1))
