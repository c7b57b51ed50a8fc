"""The chamfer loss: correspondence maps cover the canonical frame."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.geometry import chamfer_to_grid
from mmcoordgan.registry import MODELS

from .schedule import ScheduledLoss


def chamfer_loss(coords: Tensor) -> Tensor:
    """Mean over the batch of :func:`~mmcoordgan.geometry.chamfer_to_grid` (CoordGAN, eq. 3).

    Args:
        coords: Correspondence maps (B, 2, H, W).

    Returns:
        Scalar, >= 0.
    """
    return chamfer_to_grid(coords).mean()


@MODELS.register_module()
class ChamferLoss(ScheduledLoss):
    """:func:`chamfer_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(self, coords: Tensor) -> Tensor:
        return self.loss_weight * chamfer_loss(coords)
