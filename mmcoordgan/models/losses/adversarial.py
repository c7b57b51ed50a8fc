"""The logistic GAN losses, for whole images and for patches alike."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.registry import MODELS

from .schedule import ScheduledLoss


def logistic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Discriminator loss :math:`\overline{s(-D(x))} + \overline{s(D(\hat x))}`, s = softplus.

    With patch logits, "real" are crops of the same texture (CoordGAN, section 3.3; GAN loss of
    arXiv:1406.2661).

    Args:
        real_logits: Any shape.
        fake_logits: Any shape.

    Returns:
        Scalar, >= 0.
    """
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def nonsaturating_loss(fake_logits: Tensor) -> Tensor:
    r"""Generator loss :math:`\overline{s(-D(\hat x))}`, s = softplus (arXiv:1406.2661).

    Args:
        fake_logits: Any shape.

    Returns:
        Scalar, >= 0.
    """
    return F.softplus(-fake_logits).mean()


@MODELS.register_module()
class LogisticLoss(ScheduledLoss):
    """:func:`logistic_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return self.loss_weight * logistic_loss(real_logits, fake_logits)


@MODELS.register_module()
class NonsaturatingLoss(ScheduledLoss):
    """:func:`nonsaturating_loss` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(self, fake_logits: Tensor) -> Tensor:
        return self.loss_weight * nonsaturating_loss(fake_logits)
