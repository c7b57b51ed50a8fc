"""R1 regularization of a discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmcoordgan.registry import MODELS

from .schedule import ScheduledLoss


def r1_penalty(logits: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    r"""Mean over images of :math:`\sum_x \lVert \nabla_x D \rVert^2` (arXiv:1801.04406).

    Args:
        logits: Any shape, computed from ``inputs``.
        inputs: Tensors of shape (B, ...) that require gradients; the squares are summed over all
            other dimensions and over the tensors. For patches (B, n, 3, s, s) all crops of an
            image count together.

    Returns:
        Scalar, >= 0, differentiable in the network's parameters.
    """
    gradients = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    squares = [g.square().flatten(1).sum(1) for g in gradients]  # (B,) each
    return torch.stack(squares).sum(0).mean()


@MODELS.register_module()
class R1Loss(ScheduledLoss):
    """:func:`r1_penalty` with a weight and a schedule (:class:`ScheduledLoss`)."""

    def forward(self, logits: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        return self.loss_weight * r1_penalty(logits, inputs)
