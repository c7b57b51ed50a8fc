"""Refuse or skip optimizer steps whose losses or gradients are not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.logging import MMLogger
from torch import Tensor

from mmcoordgan.errors import UserError

POLICIES = ('error', 'skip')
PATIENCE = 100  # so many iterations in a row with skipped steps end the training


class NonFiniteError(UserError):
    """A loss or a gradient is infinite or not a number in an iteration."""

    def __init__(self, message: str):
        super().__init__(message, exit_code=1)


class FiniteGuard:
    """Lets an optimizer step pass if its losses and gradients are finite.

    ``policy`` 'error' raises :class:`NonFiniteError`; 'skip' skips the step with a warning, and
    raises it after 100 iterations in a row with skipped steps.
    """

    def __init__(self, policy: str):
        if policy not in POLICIES:
            raise ValueError(f'on_nonfinite must be one of {POLICIES}, but got {policy!r}')
        self.policy = policy
        self.skipped: set[int] = set()  # iterations with a skipped step

    def read(
        self, iteration: int, losses: Mapping[str, Tensor], gradients: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """The losses on the CPU, averaged over all ranks; nothing where the step is left out.

        The host waits here, once, for the device. All ranks must pass the same names in the same
        order, and gradients that are averaged already; they get the same answer. ``gradients`` may
        be empty, where a gradient scaler checks them.
        """
        values = torch.stack([value.detach().float() for value in losses.values()])
        all_reduce(values, op='mean')
        norms = torch._foreach_norm(list(gradients), 1) if gradients else []
        sums = torch.stack([*values, *norms]).cpu()
        read = dict(zip(losses, sums.unbind()))
        if bool(sums.isfinite().all()):
            return read
        bad = [f'{name} is {float(v)}' for name, v in read.items() if not v.isfinite()]
        what = ', '.join(bad) or f'a gradient of {" + ".join(losses)} is not finite'
        message = f'iteration {iteration}: {what}.'
        if self.policy == 'error':
            raise NonFiniteError(
                f"{message} Lower learning rates, clip gradients (optim_wrapper's clip_grad), or "
                "skip such steps (model.on_nonfinite='skip')."
            )
        self.skipped.add(iteration)
        if self.skipped.issuperset(range(iteration - PATIENCE + 1, iteration + 1)):
            raise NonFiniteError(
                f'{message} Steps were skipped in {PATIENCE} iterations in a row: training has '
                'diverged.'
            )
        MMLogger.get_current_instance().warning(f'{message} This step is skipped.')
        return {}
