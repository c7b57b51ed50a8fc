"""PyTorch's learning rate schedulers that MMEngine lacks."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from torch.optim import Optimizer, lr_scheduler

from mmcoordgan.errors import UserError
from mmcoordgan.registry import PARAM_SCHEDULERS


class TorchScheduler(_ParamScheduler):
    """One of PyTorch's schedulers as MMEngine's hooks use it, stepped after every iteration.

    Args:
        optimizer: The optimizer, or its wrapper.
        end: Not used; MMEngine passes the number of iterations.
        by_epoch: Must be False.
        kwargs: Arguments of PyTorch's class.

    Raises:
        UserError: ``by_epoch`` is True.
    """

    kind: Any
    by_epoch = False

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        end: int | None = None,
        by_epoch: bool = False,
        **kwargs: Any,
    ) -> None:
        if by_epoch:
            raise UserError(f'{type(self).__name__} counts iterations: set by_epoch=False')
        inner = optimizer.optimizer if isinstance(optimizer, OptimWrapper) else optimizer
        self.scheduler = self.kind(inner, **kwargs)

    def step(self) -> None:
        """Set the learning rates of the next iteration."""
        self.scheduler.step()

    def get_last_value(self) -> list[float]:
        """The learning rate of each parameter group."""
        return self.scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.scheduler.load_state_dict(state)


@PARAM_SCHEDULERS.register_module()
class CyclicLR(TorchScheduler):
    """``torch.optim.lr_scheduler.CyclicLR``."""

    kind = lr_scheduler.CyclicLR


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingWarmRestarts(TorchScheduler):
    """``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``."""

    kind = lr_scheduler.CosineAnnealingWarmRestarts
