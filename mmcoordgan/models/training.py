"""What the trainings of both stages share: named loss terms, optimizer steps, latent codes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Callable

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .distributed import average_gradients, average_values
from .finite import FiniteGuard
from .pairs import check_even_batch


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


def split_batch(images: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Equal parts of a batch (B, ...), each of whole pairs.

    Raises:
        ValueError: If the batch does not consist of as many such parts.
    """
    check_even_batch(len(images))
    if len(images) % (2 * parts):
        raise ValueError(
            f'a batch of {len(images)} images has no {parts} equal parts that consist of pairs '
            f'(model.accumulative_counts={parts}): set train_dataloader.batch_size to a multiple '
            f'of {2 * parts}'
        )
    return images.chunk(parts)


def optimizer_step(
    wrapper: OptimWrapper,
    parts: Sequence[Any],
    losses_of: Callable[[Any], dict[str, Tensor]],
    guard: FiniteGuard,
    iteration: int,
) -> dict[str, Tensor]:
    """One optimizer step on the mean loss over the parts of a batch and over all ranks.

    Args:
        wrapper: Of the networks to step.
        parts: Of a batch; each is differentiated before the next one is computed.
        losses_of: Named losses of a part, whose sum is minimized; the same names for all parts.
        guard: Decides whether to step where losses or gradients are not finite.
        iteration: Counted from 0.

    Returns:
        The losses, averaged and detached, for the log; nothing where the step was skipped.
    """
    log: dict[str, Tensor] = {}
    for part in parts:
        losses = losses_of(part)
        if losses:
            wrapper.backward(sum(losses.values()) / len(parts))
        for name, value in losses.items():
            log[name] = log.get(name, 0) + value.detach().float() / len(parts)
    if not log:
        return {}
    parameters = [p for group in wrapper.optimizer.param_groups for p in group['params']]
    average_gradients(parameters)
    log = average_values(log)
    scaler = getattr(wrapper, 'loss_scaler', None)
    scaled = scaler is not None and scaler.is_enabled()  # then it looks after the gradients
    gradients = [] if scaled else [p.grad for p in parameters if p.grad is not None]
    passes = guard.passes(iteration, log, gradients)
    if passes:
        wrapper.step()
    wrapper.zero_grad()
    return log if passes else {}


def sample_codes(generator: Any, batch: int) -> tuple[Tensor, Tensor]:
    """Normal latent codes of a generator: structure (B, structure_dim), texture (B, texture_dim).

    They are drawn on the generator's device.
    """
    device = next(generator.parameters()).device
    structure_z = torch.randn(batch, generator.structure_dim, device=device)
    texture_z = torch.randn(batch, generator.texture_dim, device=device)
    return structure_z, texture_z
