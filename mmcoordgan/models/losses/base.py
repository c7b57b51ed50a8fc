"""The base of the loss terms: when a term is active, how strong it is, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class ScheduledLoss(nn.Module):
    """A loss term of a training config. A new term is a subclass with ``forward``.

    ``forward(view)`` returns the unweighted scalar. The view is a
    :class:`Stage1View` or :class:`Stage2View`: images, maps and networks of the
    iteration, computed when a term first asks for them. The training step multiplies the scalar by
    :meth:`weight_at` the iteration, and skips the term where that is zero.

    Args:
        loss_weight: Weight at full strength.
        start: First iteration in which the term is active.
        warmup: The weight grows linearly, by ``iteration / warmup`` counted from iteration 0, up
            to full strength. 0: no warm-up.
        warmup_floor: Smallest fraction of the weight during warm-up, in [0, 1].
        interval: The term is active in iterations divisible by ``interval``, with ``interval``
            times its weight, which keeps its mean strength (lazy regularization, StyleGAN2).
        on: What the term compares, one of the class's ``choices``. Default: what the term's name
            in the config implies, see ``implied``.

    Raises:
        ValueError: If a value is out of range.
    """

    step = 'generator'
    """'discriminator', 'regularization' or 'generator' in stage 1; 'encoder' in stage 2."""
    needs: tuple[str, ...] = ()
    """Networks that the view must have, e.g. ``('perceptual',)``."""
    choices: Mapping[str, tuple[str, ...]] = {}
    """Values of ``on``, each with the networks that it needs. Empty: there is nothing to choose."""
    implied: Mapping[str, str] = {}
    """Names of terms in configs -> value of ``on``."""

    def __init__(
        self,
        loss_weight: float = 1.0,
        start: int = 0,
        warmup: int = 0,
        warmup_floor: float = 0.0,
        interval: int = 1,
        on: str | None = None,
    ):
        super().__init__()
        if start < 0 or warmup < 0 or interval < 1 or not 0 <= warmup_floor <= 1:
            raise ValueError(
                f'{type(self).__name__} needs start >= 0, warmup >= 0, interval >= 1 and '
                f'0 <= warmup_floor <= 1, but got start={start}, warmup={warmup}, '
                f'interval={interval}, warmup_floor={warmup_floor}'
            )
        self.loss_weight = loss_weight
        self.start = start
        self.warmup = warmup
        self.warmup_floor = warmup_floor
        self.interval = interval
        self.on = on

    def weight_at(self, iteration: int) -> float:
        """The weight at an iteration, counted from 0; 0.0 where the term is not active."""
        if iteration < self.start or iteration % self.interval:
            return 0.0
        ramp = 1.0
        if self.warmup:
            ramp = min(max(iteration / self.warmup, self.warmup_floor), 1.0)
        return self.loss_weight * ramp * self.interval

    def forward(self, view: Any) -> Tensor:
        """The unweighted scalar of a micro-batch."""
        raise NotImplementedError
