"""What every perceptual distance offers, so that features are computed once and compared often."""

from __future__ import annotations

from torch import Tensor, nn


class PerceptualDistance(nn.Module):
    """Base of the perceptual distances: features of pictures, and a distance between features.

    ``forward(x, y)`` is ``loss_weight * distance(features(x), features(y))``.

    Args:
        loss_weight: Factor on the result of ``forward`` (not of ``distance``).
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def features(self, images: Tensor) -> list[Tensor]:
        """RGB pictures (B, 3, H, W) in [-1, 1] -> feature maps (B, C_k, H_k, W_k), normalized."""
        raise NotImplementedError

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        """Scalar distance >= 0 between the features of two batches, mean over the batch."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_weight * self.distance(self.features(x), self.features(y))
