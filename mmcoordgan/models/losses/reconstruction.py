"""The losses of the encoder: how far pictures, codes and maps are from where they should be."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.registry import MODELS

from .perceptual import PerceptualDistance
from .schedule import ScheduledLoss


def l1_loss(x: Tensor, target: Tensor) -> Tensor:
    r"""Mean absolute difference :math:`\overline{|x - y|}` over all entries (CoordGAN, eq. 7).

    Args:
        x: Pictures, codes or correspondence maps, any shape.
        target: The same shape.

    Returns:
        Scalar, >= 0.

    Raises:
        ValueError: If the shapes differ, which would be broadcast.
    """
    if x.shape != target.shape:
        raise ValueError(
            f'x and target must have one shape, but got {tuple(x.shape)} and {tuple(target.shape)}'
        )
    return (x - target).abs().mean()


def perceptual_loss(
    perceptual: PerceptualDistance, features: list[Tensor], target_features: list[Tensor]
) -> Tensor:
    """Perceptual distance between pictures and their targets (CoordGAN, section 3.4).

    Args:
        perceptual: The perceptual distance.
        features: Its features of the pictures.
        target_features: Its features of the targets.

    Returns:
        Scalar, >= 0.
    """
    return perceptual.distance(features, target_features)


@MODELS.register_module()
class L1Loss(ScheduledLoss):
    """:func:`l1_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return self.loss_weight * l1_loss(x, target)


@MODELS.register_module()
class PerceptualLoss(ScheduledLoss):
    """:func:`perceptual_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(
        self,
        perceptual: PerceptualDistance,
        features: list[Tensor],
        target_features: list[Tensor],
    ) -> Tensor:
        return self.loss_weight * perceptual_loss(perceptual, features, target_features)
