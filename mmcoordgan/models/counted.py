"""What both stages do alike: count iterations, draw latents, and average weights."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn


class CountedModel(BaseModel):
    """A model that counts its iterations, also across checkpoints, for the sake of schedules."""

    generator: Any
    perceptual: Any
    losses: Any
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

    def sample_codes(self, batch: int) -> tuple[Tensor, Tensor]:
        """Normal latents (B, structure_dim) and (B, texture_dim), on the generator's device."""
        device = next(self.generator.parameters()).device
        structure_z = torch.randn(batch, self.generator.structure_dim, device=device)
        texture_z = torch.randn(batch, self.generator.texture_dim, device=device)
        return structure_z, texture_z


@torch.no_grad()
def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move the saved values of a network towards those of another; integers become the same."""
    pairs = list(zip(average.state_dict().values(), current.state_dict().values()))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_([kept for kept, _ in floats], [new for _, new in floats], 1 - decay)
    for kept, new in pairs:
        if not kept.is_floating_point():
            kept.copy_(new)
