"""The chamfer loss: correspondence maps cover the canonical frame."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.geometry import chamfer_to_grid
from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .views import Stage1View


def chamfer_loss(coords: Tensor) -> Tensor:
    """Mean of :func:`~mmcoordgan.geometry.chamfer_to_grid` over maps (B, 2, H, W) (CoordGAN)."""
    return chamfer_to_grid(coords).mean()


@MODELS.register_module()
class ChamferLoss(ScheduledLoss):
    """:func:`chamfer_loss` of the generated maps. Arguments: see :class:`ScheduledLoss`."""

    def forward(self, view: Stage1View) -> Tensor:
        return chamfer_loss(view.fakes.coords)
