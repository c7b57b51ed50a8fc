"""What both stages do alike: count iterations, and average weights."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn


class CountedModel(BaseModel):
    """A model that counts its iterations.

    The count is saved with the weights, so that schedules continue where a checkpoint was written.
    """

    iteration: Tensor

    def __init__(self, data_preprocessor: nn.Module | None = None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Move and convert all but the iteration: the host reads it without waiting for a GPU."""
        iteration = self.iteration
        super()._apply(fn, *args, **kwargs)
        self.iteration = iteration
        return self


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move the saved values of a network towards those of another; integers become the same."""
    values = current.state_dict()
    floats: list[str] = []
    kept = average.state_dict()
    for name, value in kept.items():
        if value.is_floating_point():
            floats.append(name)
        else:
            value.copy_(values[name])
    moved, towards = [kept[name] for name in floats], [values[name] for name in floats]
    torch._foreach_lerp_(moved, towards, 1 - decay)
