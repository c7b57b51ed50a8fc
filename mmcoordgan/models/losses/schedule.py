"""When a loss term acts, and how strongly."""

from __future__ import annotations

from torch import nn


class ScheduledLoss(nn.Module):
    """Base of the loss terms that a training config lists.

    ``forward`` returns the term times ``loss_weight``; the training step multiplies it by
    :meth:`factor_at` the current iteration, and skips it where that is zero.

    Args:
        loss_weight: Weight at full strength.
        start: First iteration in which the term acts.
        warmup: The factor grows linearly, ``iteration / warmup`` counted from iteration 0, until
            it is 1. 0: no warm-up.
        warmup_floor: Smallest factor while warming up, in [0, 1].
        interval: The term acts in iterations divisible by ``interval``, and its factor is
            multiplied by ``interval``, which keeps its strength (lazy regularization, StyleGAN2).

    Raises:
        ValueError: If a value is out of range.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        start: int = 0,
        warmup: int = 0,
        warmup_floor: float = 0.0,
        interval: int = 1,
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

    def factor_at(self, iteration: int) -> float:
        """The factor at an iteration, counted from 0; 0.0 where the term does not act."""
        if iteration < self.start or iteration % self.interval or self.loss_weight == 0:
            return 0.0
        ramp = 1.0
        if self.warmup:
            ramp = min(max(iteration / self.warmup, self.warmup_floor), 1.0)
        return ramp * self.interval
