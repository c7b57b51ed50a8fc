"""The loss terms of both stages. Arguments that are not listed: see :class:`ScheduledLoss`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmcoordgan.geometry import chamfer_to_grid
from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .functional import l1_loss, logistic_loss, nonsaturating_loss, r1_penalty, warp_loss
from .views import Stage1View, Stage2View

JUDGES = {'images': ('discriminator',), 'patches': ('patch_discriminator',)}


@MODELS.register_module()
class LogisticLoss(ScheduledLoss):
    """:func:`logistic_loss` of the discriminator step; ``on`` is 'images' or 'patches'."""

    step = 'discriminator'
    choices = JUDGES
    implied = {'d_gan': 'images', 'd_patch': 'patches'}
    swaps = property(lambda self: self.on == 'patches')

    def forward(self, view: Stage1View) -> Tensor:
        if self.on == 'images':
            real_logits = view.discriminator(view.real)
            return logistic_loss(real_logits, view.discriminator(view.fakes.images))
        patch, images = view.patch_discriminator, view.fakes.images
        crops = [patch.crop(images), patch.crop(images), patch.crop(view.fakes.twins)]
        reference, same, twin = patch.features(torch.cat(crops)).chunk(3)
        reference = patch.aggregate(reference)
        return logistic_loss(patch.decide(reference, same), patch.decide(reference, twin))


@MODELS.register_module()
class NonsaturatingLoss(ScheduledLoss):
    """:func:`nonsaturating_loss` of the generator step; ``on`` is 'images' or 'patches'."""

    choices = JUDGES
    implied = {'g_gan': 'images', 'g_patch': 'patches'}
    swaps = property(lambda self: self.on == 'patches')

    def forward(self, view: Stage1View) -> Tensor:
        if self.on == 'images':
            return nonsaturating_loss(view.discriminator(view.fakes.images))
        patch = view.patch_discriminator
        reference = patch.aggregate(patch.features(patch.crop(view.fakes.images))).detach()
        twin = patch.features(patch.crop(view.fakes.twins))
        return nonsaturating_loss(patch.decide(reference, twin))


@MODELS.register_module()
class R1Loss(ScheduledLoss):
    """:func:`r1_penalty` of a discriminator, in a step of its own and in full precision.

    ``on`` is 'images' (real ones) or 'patches' (of generated images).
    """

    step = 'regularization'
    choices = JUDGES
    implied = {'d_r1': 'images', 'd_patch_r1': 'patches'}

    def forward(self, view: Stage1View) -> Tensor:
        with torch.autocast(view.real.device.type, enabled=False):
            if self.on == 'images':
                real = view.real.detach().requires_grad_()
                logits = view.discriminator(real)
                # Zero times the logits gives every parameter a gradient, so that Adam's state
                # advances for all.
                return r1_penalty(logits, [real]) + 0 * logits.sum()
            patch = view.patch_discriminator
            crops = [patch.crop(view.fakes.images).requires_grad_() for _ in range(2)]
            return r1_penalty(patch(*crops), crops)


@MODELS.register_module()
class ChamferLoss(ScheduledLoss):
    """Mean of :func:`~mmcoordgan.geometry.chamfer_to_grid` over the generated maps."""

    def forward(self, view: Stage1View) -> Tensor:
        return chamfer_to_grid(view.fakes.coords).mean()


@MODELS.register_module()
class TextureSwapLoss(ScheduledLoss):
    """Mean perceptual distance between G(s, t) and G(s, t')."""

    needs = ('perceptual',)
    swaps = True

    def forward(self, view: Stage1View) -> Tensor:
        swapped_features = view.swapped_features  # before the others
        return view.perceptual.distance(view.features, swapped_features).mean()


@MODELS.register_module()
class WarpLoss(ScheduledLoss):
    """:func:`warp_loss` of the generated images.

    ``temperature`` is in units of the frame; 0.01 belongs to 128 x 128 maps.
    """

    needs = ('perceptual',)

    def __init__(self, temperature: float = 0.01, **schedule: Any):
        super().__init__(**schedule)
        self.temperature = temperature

    def forward(self, view: Stage1View) -> Tensor:
        images, coords = view.fakes.images, view.fakes.coords
        features = view.features if images.shape[-2:] == coords.shape[-2:] else None
        return warp_loss(view.perceptual, images, coords, features, self.temperature)


@MODELS.register_module()
class L1Loss(ScheduledLoss):
    """:func:`l1_loss` of the encoder's images, codes or maps.

    ``on`` is 'reconstruction' (of real images), or 'structure_w', 'texture_w' or 'coords' (of
    synthesized images, whose truth is known).
    """

    step = 'encoder'
    choices = dict.fromkeys(('reconstruction', 'structure_w', 'texture_w', 'coords'), ())
    implied = {'rec_l1': 'reconstruction'} | {k: k for k in ('structure_w', 'texture_w', 'coords')}

    def forward(self, view: Stage2View) -> Tensor:
        if self.on == 'reconstruction':
            return l1_loss(view.reconstruction, view.real)
        found, truth = (getattr(e, self.on or '') for e in (view.recovered, view.truth))
        if found is None:
            raise ValueError(f'{type(view.encoder).__name__} gives no {self.on} to compare')
        if self.on == 'texture_w' and found.dim() == 3:  # W+: the truth is the same in all layers
            truth = truth[:, None].expand_as(found)
        return l1_loss(found, truth)


@MODELS.register_module()
class PerceptualLoss(ScheduledLoss):
    """Mean perceptual distance between real images and what the encoder makes of them.

    ``on`` is 'reconstruction', or 'swapped': the structure with its partner's texture.
    """

    step = 'encoder'
    needs = ('perceptual',)
    choices = dict.fromkeys(('reconstruction', 'swapped'), ())
    implied = {'rec_perceptual': 'reconstruction', 'swap_perceptual': 'swapped'}

    def forward(self, view: Stage2View) -> Tensor:
        images = view.reconstruction if self.on == 'reconstruction' else view.swapped
        features = view.perceptual.features(images)
        return view.perceptual.distance(features, view.features).mean()
