"""What becomes of an optimizer step whose losses or gradients are not finite."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mmcoordgan.errors import UserError

POLICIES = ('error', 'skip')
PATIENCE = 100
"""After so many iterations in a row with skipped steps, training is not going on any more."""


class NonFiniteError(UserError):
    """A loss or a gradient that is infinite or not a number, and the iteration it came up in."""

    def __init__(self, message: str, iteration: int):
        super().__init__(message, exit_code=1)
        self.iteration = iteration


class FiniteGuard:
    """Lets an optimizer step pass if its losses and gradients are finite.

    Args:
        policy: 'error': raise :class:`NonFiniteError`; 'skip': leave the step out, with a warning,
            unless that happens in 100 iterations in a row.

    Raises:
        ValueError: If ``policy`` is another one.
    """

    def __init__(self, policy: str):
        if policy not in POLICIES:
            raise ValueError(f'on_nonfinite must be one of {POLICIES}, but got {policy!r}')
        self.policy = policy
        self._last, self._in_a_row = -1, 0

    def passes(
        self, iteration: int, losses: dict[str, Tensor], gradients: Sequence[Tensor]
    ) -> bool:
        """Whether to make a step.

        Processes that give the same (averaged) values get the same answer.

        Args:
            iteration: Counted from 0.
            losses: Scalars by name.
            gradients: May be empty, where something else takes care of them.
        """
        sums = torch.stack([*losses.values(), *(g.sum() for g in gradients)])
        if bool(sums.isfinite().all()):
            return True
        bad = [f'{name} is {float(v)}' for name, v in losses.items() if not v.isfinite()]
        what = ', '.join(bad) or f'a gradient of {" + ".join(losses)} is not finite'
        message = f'iteration {iteration}: {what}.'
        if self.policy == 'error':
            raise NonFiniteError(
                f"{message} Lower learning rates, clip gradients (optim_wrapper's clip_grad), or "
                "leave such steps out (model.on_nonfinite='skip').",
                iteration,
            )
        self._count(iteration, message)
        MMLogger.get_current_instance().warning(f'{message} This step is skipped.')
        return False

    def _count(self, iteration: int, message: str) -> None:
        if iteration != self._last:
            self._in_a_row = self._in_a_row + 1 if iteration == self._last + 1 else 1
            self._last = iteration
        if self._in_a_row >= PATIENCE:
            raise NonFiniteError(
                f'{message} Steps were skipped in {PATIENCE} iterations in a row: training does '
                'not go on like this.',
                iteration,
            )
