"""The warp loss: colours transferred by correspondence repaint an image."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import soft_transfer
from mmcoordgan.models.pairs import swap_partners
from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .perceptual import PerceptualDistance
from .views import Stage1View


def resize_to_map(images: Tensor, coords: Tensor) -> Tensor:
    """Images (B, 3, H, W), resized bilinearly to the map's size where they differ from it."""
    size = coords.shape[-2:]
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode='bilinear', align_corners=False)


def warp_partners(images: Tensor, coords: Tensor, temperature: float = 0.01) -> Tensor:
    """Repaint every image with its partner's colours by soft correspondence.

    Convention: colours travel from the partner (source) to the image (target); images 2k and
    2k + 1 are partners.

    Args:
        images: (B, 3, H, W), B even, of the maps' size.
        coords: Correspondence maps (B, 2, H, W).
        temperature: Of the soft correspondence, in units of the frame.
    """
    return soft_transfer(swap_partners(images), swap_partners(coords), coords, temperature)


def warp_loss(
    perceptual: PerceptualDistance,
    images: Tensor,
    coords: Tensor,
    target_features: list[Tensor] | None = None,
    temperature: float = 0.01,
) -> Tensor:
    """Mean perceptual distance between warped partners and images, >= 0 (CoordGAN).

    Gradients flow into both coordinate maps and into the partner's colours, not into the target.

    Args:
        perceptual: The perceptual distance.
        images: (B, 3, H, W), B even; resized to the maps' size if larger.
        coords: Correspondence maps (B, 2, h, w).
        target_features: Features of the images at the maps' size, where they are known already.
        temperature: Of the soft correspondence, in units of the frame.
    """
    images = resize_to_map(images, coords)
    if target_features is None:
        target_features = perceptual.features(images.detach())
    warped = warp_partners(images, coords, temperature)
    targets = [f.detach() for f in target_features]
    return perceptual.distance(perceptual.features(warped), targets).mean()


@MODELS.register_module()
class WarpLoss(ScheduledLoss):
    """:func:`warp_loss` of the generated images.

    Args:
        temperature: Of the soft correspondence, in units of the frame; 0.01 belongs to 128 x 128
            maps.
        **schedule: See :class:`ScheduledLoss`.
    """

    needs = ('perceptual',)

    def __init__(self, temperature: float = 0.01, **schedule: Any):
        super().__init__(**schedule)
        self.temperature = temperature

    def forward(self, view: Stage1View) -> Tensor:
        images, coords = view.fakes.images, view.fakes.coords
        features = view.features if images.shape[-2:] == coords.shape[-2:] else None
        return warp_loss(view.perceptual, images, coords, features, self.temperature)
