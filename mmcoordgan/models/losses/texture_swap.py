"""The texture swap loss: another texture leaves the structure as it is."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .perceptual import PerceptualDistance
from .views import Stage1View


def texture_swap_loss(
    perceptual: PerceptualDistance, features: list[Tensor], swapped_features: list[Tensor]
) -> Tensor:
    """Mean perceptual distance between G(s, t) and G(s, t'), >= 0 (CoordGAN).

    Args:
        perceptual: The perceptual distance.
        features: Its features of the images.
        swapped_features: Its features of the same structures with their partners' textures.
    """
    return perceptual.distance(features, swapped_features).mean()


@MODELS.register_module()
class TextureSwapLoss(ScheduledLoss):
    """:func:`texture_swap_loss` of the generated images. Arguments: see :class:`ScheduledLoss`."""

    needs = ('perceptual',)

    def forward(self, view: Stage1View) -> Tensor:
        swapped_features = view.perceptual.features(view.fakes.swapped)
        return texture_swap_loss(view.perceptual, view.features, swapped_features)
