"""A warped image has the warped map: what photographs teach an encoder without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import RandomWarps, sample_image
from mmcoordgan.models.networks.protocols import encode
from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .views import Stage2View


def map_distance(coords: Tensor, target: Tensor) -> Tensor:
    r"""Mean distance :math:`\overline{\lVert c(p) - t(p) \rVert}` of two maps.

    The distance is not squared, so that places which no image tells apart do not dominate.

    Args:
        coords: Maps (B, 2, H, W).
        target: The same shape.

    Returns:
        Scalar, >= 0, in units of the frame.
    """
    if coords.shape != target.shape:
        raise ValueError(
            f'coords and target must have one shape, but got {tuple(coords.shape)} and '
            f'{tuple(target.shape)}'
        )
    return ((coords - target).square().sum(1) + 1e-6).sqrt().mean()


def photometric_noise(images: Tensor) -> Tensor:
    """Images in another light, from another camera; their maps stay.

    Draws contrast, brightness, the balance and the saturation of colors, a light that falls from
    one side, blur, and noise.

    Args:
        images: RGB (B, 3, H, W) in [-1, 1].

    Returns:
        The same shape, not clipped.
    """
    batch = len(images)

    def normal(channels: int, side: int = 1) -> Tensor:
        return torch.randn(batch, channels, side, side).to(images)

    def uniform() -> Tensor:
        return torch.rand(batch, 1, 1, 1).to(images)

    images = images * (0.35 * normal(1)).exp() + 0.25 * normal(1)
    images = images * (0.15 * normal(3)).exp() + 0.12 * normal(3)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1.3 * uniform() - 0.1).clamp(0, 1.2)
    light = 0.3 * uniform() * normal(1, 2)
    images = images * (
        1 + F.interpolate(light, images.shape[-2:], mode='bilinear', align_corners=True)
    )
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode='replicate'), 3, 1)
    images = torch.where(uniform() < 0.4, blurred, images)
    return images + 0.06 * uniform() * torch.randn(images.shape).to(images)


@MODELS.register_module()
class EquivarianceLoss(ScheduledLoss):
    r""":func:`map_distance` between the map of a warped image and the warped map of the image.

    .. math::
        \overline{\lVert E(n(x \circ g)) - c_x \circ g \rVert}

    with random warps :math:`g` and :func:`photometric_noise` :math:`n`. On synthesized images the
    map :math:`c_x` is the true one. On real images it is what the teacher finds in the unwarped
    image: the average of the encoder's weights, see ``teacher`` of :class:`~.Stage2View`. Warps
    destroy what one image alone tells about its map, and leave what all images share.

    Args:
        on: 'real' or 'synthesized'. Default: what the term's name implies, ``equivariance`` and
            ``warped_coords``.
        warps: Arguments of :class:`~mmcoordgan.geometry.RandomWarps`.
        **settings: See :class:`ScheduledLoss`.
    """

    step = 'encoder'
    choices = {'real': ('teacher',), 'synthesized': ()}
    implied = {'equivariance': 'real', 'warped_coords': 'synthesized'}

    def __init__(self, warps: Mapping[str, Any] | None = None, **settings: Any):
        super().__init__(**settings)
        self.warps = RandomWarps(**(warps or {}))

    def forward(self, view: Stage2View) -> Tensor:
        real = self.on == 'real'
        images = view.real if real else view.synthesized
        coords = view.taught if real else view.truth.coords
        assert coords is not None
        warp = self.warps.draw(len(images), images.shape[-1]).to(images)
        seen = photometric_noise(sample_image(images, warp))
        found = encode(view.encoder, view.generator, seen).coords
        assert found is not None
        target = sample_image(coords, warp)
        if target.shape != found.shape:
            size = found.shape[-2:]
            target = F.interpolate(target, size, mode='bilinear', align_corners=True)
        return map_distance(found, target)
