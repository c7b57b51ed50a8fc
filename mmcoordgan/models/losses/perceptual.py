"""The interface of perceptual distances: compute features once, compare them often."""

from __future__ import annotations

from torch import Tensor, nn


class PerceptualDistance(nn.Module):
    """Base of the perceptual distances: features of images, and a distance between features.

    A new distance is a subclass with ``features`` and ``distance``. ``forward(x, y)`` is
    ``loss_weight * distance(features(x), features(y))``, (B,).
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def features(self, images: Tensor) -> list[Tensor]:
        """RGB images (B, 3, H, W) in [-1, 1] -> feature maps (B, C_k, H_k, W_k), normalized."""
        raise NotImplementedError

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        """Distances (B,), >= 0, between the features of the images of two batches."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_weight * self.distance(self.features(x), self.features(y))
