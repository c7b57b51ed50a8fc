"""PyTorch's learning rate schedulers that MMEngine lacks."""

from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapper, _ParamScheduler
from torch.optim import Optimizer, lr_scheduler

from mmcoordgan.errors import UserError
from mmcoordgan.registry import PARAM_SCHEDULERS


class TorchScheduler(_ParamScheduler):
    """One of PyTorch's schedulers as MMEngine's hooks use it, stepped after every iteration."""

    kind: Any
    by_epoch = False

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        end: int | None = None,  # the number of iterations, from MMEngine
        by_epoch: bool = False,
        **kwargs: Any,
    ) -> None:
        if by_epoch:
            raise UserError(f'{type(self).__name__} counts iterations: set by_epoch=False')
        inner = optimizer.optimizer if isinstance(optimizer, OptimWrapper) else optimizer
        self.scheduler = self.kind(inner, **kwargs)

        self.step = self.scheduler.step
        self.get_last_value = self.scheduler.get_last_lr
        self.state_dict = self.scheduler.state_dict
        self.load_state_dict = self.scheduler.load_state_dict


@PARAM_SCHEDULERS.register_module()
class CyclicLR(TorchScheduler):
    """``torch.optim.lr_scheduler.CyclicLR``."""

    kind = lr_scheduler.CyclicLR


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingWarmRestarts(TorchScheduler):
    """``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``."""

    kind = lr_scheduler.CosineAnnealingWarmRestarts
