"""What the trainings of both stages share: named loss terms, optimizer steps, latent codes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .distributed import average_gradients


class LossTerms(nn.ModuleDict):
    """The loss terms of a training, by the names that the log shows.

    Args:
        terms: Each a config or module of a :class:`~.losses.ScheduledLoss`.
        known: The names that the training knows.

    Raises:
        ValueError: If a name is unknown.
    """

    def __init__(self, terms: dict, known: Sequence[str]):
        for name in terms:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f': did you mean {near[0]}?' if near else f'; known are {", ".join(known)}'
                raise ValueError(f'losses has no term {name!r}{hint}')
        super().__init__({name: build_module(term) for name, term in terms.items()})

    def acts(self, iteration: int, *names: str) -> bool:
        """Whether any of the named terms acts in this iteration."""
        return any(name in self and self._factor(name, iteration) > 0 for name in names)

    def scheduled(self, values: dict[str, Tensor], iteration: int) -> dict[str, Tensor]:
        """The values, each times its term's factor in this iteration."""
        return {name: self._factor(name, iteration) * value for name, value in values.items()}

    def _factor(self, name: str, iteration: int) -> float:
        term: Any = self[name]
        return term.factor_at(iteration)


def build_module(part: dict | nn.Module | None) -> Any:
    """A module from its config; modules and None pass."""
    return MODELS.build(part) if isinstance(part, dict) else part


def optimizer_step(wrapper: OptimWrapper, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """One optimizer step on the sum of ``losses``, gradients averaged over all ranks.

    Returns:
        The losses, detached, for the log.
    """
    if losses:
        wrapper.backward(wrapper.scale_loss(sum(losses.values())))
        if wrapper.should_update():
            groups = wrapper.optimizer.param_groups
            average_gradients(p for group in groups for p in group['params'])
            wrapper.step()
            wrapper.zero_grad()
    return {name: value.detach() for name, value in losses.items()}


def sample_codes(generator: Any, batch: int) -> tuple[Tensor, Tensor]:
    """Normal latent codes of a generator: structure (B, structure_dim), texture (B, texture_dim).

    They are drawn on the generator's device.
    """
    device = next(generator.parameters()).device
    structure_z = torch.randn(batch, generator.structure_dim, device=device)
    texture_z = torch.randn(batch, generator.texture_dim, device=device)
    return structure_z, texture_z
