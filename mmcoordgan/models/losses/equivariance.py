"""A warped image has the warped map: what photographs teach an encoder without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import RandomWarps, canonical_grid, mean_of_sides, resize_map, sample_image
from mmcoordgan.models.networks.protocols import encode
from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .feature_template import FeatureTemplate
from .functional import map_distance
from .views import Stage2View

DRIFT_SIZE = 8
OBSERVED = 100  # a template begins with the mean of aligned images, over so many iterations
FITTED = 100  # a template is fitted each time so many iterations have passed


def photometric_noise(images: Tensor) -> Tensor:
    """Images in another light, from another camera; their maps stay.

    Draws contrast, brightness, the balance and the saturation of colors, a light that falls from
    one side, blur, and noise. Images are RGB (B, 3, H, W) in about [-1, 1].
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
    map :math:`c_x` is the true one. On real images it is what the teacher, the average of the
    encoder's weights, finds in the unwarped image.

    Args:
        on: 'real' or 'synthesized'. Default: what the term's name implies, ``equivariance`` and
            ``warped_coords``.
        warps: Arguments of :class:`~mmcoordgan.geometry.RandomWarps`.
        focus: See :func:`map_distance`.
        aligned: Real images are aligned: for so many iterations the canonical grid is taught, and
            later the teacher's maps, whose mean over the images is kept at the canonical grid, so
            that the frame neither drifts nor shrinks. 0: they are not aligned.
        mirror: Objects are symmetric, and so is the frame, which holds where it began as that of
            ``aligned`` images: the teacher also sees the mirror image, and teaches the mean.
        template: Arguments of a
            :class:`~mmcoordgan.models.losses.feature_template.FeatureTemplate`. What is taught is
            then moved to where the image looks like all others; this needs ``aligned`` and a
            perceptual distance. None: the teacher's maps are taught.
        views: How often each image is warped: teaching an image costs more than seeing it.
        **settings: See :class:`ScheduledLoss`.
    """

    step = 'encoder'
    choices = {'real': ('teacher',), 'synthesized': ()}
    implied = {'equivariance': 'real', 'warped_coords': 'synthesized'}
    drift: Tensor

    def __init__(
        self,
        warps: Mapping[str, Any] | None = None,
        focus: float | None = None,
        aligned: int = 0,
        mirror: bool = False,
        template: Mapping[str, Any] | None = None,
        views: int = 1,
        **settings: Any,
    ):
        super().__init__(**settings)
        if template is not None and not aligned:
            raise ValueError('template needs aligned > 0: it begins with the mean aligned image')
        self.warps = RandomWarps(**(warps or {}))
        self.focus = focus
        self.aligned = aligned
        self.mirror = mirror
        self.views = views
        # How far the teacher's mean map is from the canonical grid: smooth, so a few values do.
        drift = torch.zeros(2, DRIFT_SIZE, DRIFT_SIZE)
        self.register_buffer('drift', drift, persistent=aligned > 0)
        self.template = None if template is None else FeatureTemplate(**template)
        if self.template is not None:
            self.needs = (*self.needs, 'perceptual')

    def forward(self, view: Stage2View) -> Tensor:
        real = self.on == 'real'
        images = view.real if real else view.synthesized
        coords: Any = self._taught(view) if real else view.truth.coords
        images, coords = (x.repeat(self.views, 1, 1, 1) for x in (images, coords))
        warp = self.warps.draw(len(images), images.shape[-1]).to(images)
        seen = photometric_noise(sample_image(images, warp))
        found: Any = encode(view.encoder, view.generator, seen).coords
        target = resize_map(sample_image(coords, warp), found.shape[-2:])
        return map_distance(found.float(), target, self.focus)

    @torch.no_grad()
    def _taught(self, view: Stage2View) -> Tensor:
        """Maps (B, 2, H, W) for the real images."""
        size = view.real.shape[-1]
        grid = canonical_grid(size, size, device=view.real.device)
        coords = grid.expand(len(view.real), -1, -1, -1)
        taught = view.iteration >= self.aligned
        if taught:
            coords = view.teach(view.real)
            if self.mirror:
                coords = mean_of_sides(coords, view.teach(view.real.flip(-1)))
        template = self.template
        if template is None:
            return self._centered(coords, grid) if self.aligned and taught else coords
        features = template.features(view.perceptual, view.real)
        with torch.autocast(features.device.type, enabled=False):  # covariances need 24 bits
            if view.iteration >= OBSERVED:
                if view.iteration % FITTED == 0:
                    template.fit()
                coords = self._centered(template.moved(features, coords), grid)
            template.update(features, coords)
        return coords

    def _centered(self, coords: Tensor, grid: Tensor) -> Tensor:
        """Subtract the running mean of how far maps are from the canonical grid."""
        offset = F.adaptive_avg_pool2d(coords.mean(0) - grid, DRIFT_SIZE)
        self.drift.lerp_(offset, 0.01)
        size = coords.shape[-2:]
        drift = F.interpolate(self.drift[None], size, mode='bilinear', align_corners=False)
        return coords - drift
