"""R1 regularization of a discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmcoordgan.registry import MODELS

from .adversarial import JUDGES
from .base import ScheduledLoss
from .views import Stage1View


def r1_penalty(logits: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    r"""Mean over images of :math:`\sum_x \lVert \nabla_x D \rVert^2` (arXiv:1801.04406).

    Args:
        logits: Any shape, computed from ``inputs``.
        inputs: Tensors (B, ...) that require gradients; the squares are summed over all other
            dimensions and over the tensors.

    Returns:
        Scalar, >= 0, differentiable in the network's parameters.
    """
    gradients = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    squares = [g.square().flatten(1).sum(1) for g in gradients]  # (B,) each
    return torch.stack(squares).sum(0).mean()


@MODELS.register_module()
class R1Loss(ScheduledLoss):
    """:func:`r1_penalty` of a discriminator, in a step of its own and in full precision.

    Arguments: see :class:`ScheduledLoss`; ``on`` is 'images' (real ones) or 'patches' (of generated
    images).
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
