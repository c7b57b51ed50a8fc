"""The texture swap loss: another texture leaves the structure as it is."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.registry import MODELS

from .perceptual import PerceptualDistance
from .schedule import ScheduledLoss


def texture_swap_loss(
    perceptual: PerceptualDistance, features: list[Tensor], swapped_features: list[Tensor]
) -> Tensor:
    """Perceptual distance between G(s, t) and G(s, t') (CoordGAN, section 3.3).

    Args:
        perceptual: The perceptual distance.
        features: Its features of the pictures.
        swapped_features: Its features of the same structures with their partners' textures.

    Returns:
        Scalar, >= 0.
    """
    return perceptual.distance(features, swapped_features)


@MODELS.register_module()
class TextureSwapLoss(ScheduledLoss):
    """:func:`texture_swap_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(
        self,
        perceptual: PerceptualDistance,
        features: list[Tensor],
        swapped_features: list[Tensor],
    ) -> Tensor:
        return self.loss_weight * texture_swap_loss(perceptual, features, swapped_features)
