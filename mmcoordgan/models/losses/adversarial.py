"""The logistic GAN losses, for whole images and for patches alike."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.registry import MODELS

from .base import ScheduledLoss
from .views import Stage1View


def logistic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Discriminator loss :math:`\overline{s(-D(x))} + \overline{s(D(\hat x))}`, s = softplus.

    With patch logits, "real" are crops of the same texture (CoordGAN; GAN loss of
    arXiv:1406.2661). Logits of any shape -> scalar, >= 0.
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    r"""Generator loss :math:`\overline{s(-D(\hat x))}`, s = softplus (arXiv:1406.2661).

    Logits of any shape -> scalar, >= 0.
    """
    return F.softplus(-fake_logits).mean()


JUDGES = {'images': ('discriminator',), 'patches': ('patch_discriminator',)}


@MODELS.register_module()
class LogisticLoss(ScheduledLoss):
    """:func:`logistic_loss` of the discriminator step, on images or on patches.

    Arguments: see :class:`ScheduledLoss`; ``on`` is 'images' or 'patches'.
    """

    step = 'discriminator'
    choices = JUDGES
    implied = {'d_gan': 'images', 'd_patch': 'patches'}

    def forward(self, view: Stage1View) -> Tensor:
        if self.on == 'images':
            real_logits = view.discriminator(view.real)
            return logistic_loss(real_logits, view.discriminator(view.fakes.images))
        patch, images = view.patch_discriminator, view.fakes.images
        reference = patch.aggregate(patch.features(patch.crop(images)))
        same = patch.decide(reference, patch.features(patch.crop(images)))
        twin = patch.decide(reference, patch.features(patch.crop(view.fakes.twins)))
        return logistic_loss(same, twin)


@MODELS.register_module()
class NonsaturatingLoss(ScheduledLoss):
    """:func:`nonsaturating_loss` of the generator step, on images or on patches.

    Arguments: see :class:`ScheduledLoss`; ``on`` is 'images' or 'patches'.
    """

    choices = JUDGES
    implied = {'g_gan': 'images', 'g_patch': 'patches'}

    def forward(self, view: Stage1View) -> Tensor:
        if self.on == 'images':
            return nonsaturating_loss(view.discriminator(view.fakes.images))
        patch = view.patch_discriminator
        reference = patch.aggregate(patch.features(patch.crop(view.fakes.images))).detach()
        twin = patch.features(patch.crop(view.fakes.twins))
        return nonsaturating_loss(patch.decide(reference, twin))
