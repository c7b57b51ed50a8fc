"""The loss terms of a training: built from a config, computed step by step."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmcoordgan.registry import build_module

from .base import ScheduledLoss


class LossTerms(nn.ModuleDict):
    """Loss terms by the names that the log shows.

    Args:
        terms: Each a config or module of a :class:`ScheduledLoss`, or None to leave it out.
        steps: The steps of the training that has these terms.
        networks: Names of the networks that it has.

    Raises:
        ValueError: If a term belongs to no step, lacks a network, or does not say what it compares.
    """

    def __init__(self, terms: dict, steps: Sequence[str], networks: Sequence[str]):
        super().__init__()
        for name, config in terms.items():
            if config is not None:
                self[name] = _checked(name, build_module(config), steps, networks)

    def compute(self, step: str, view: Any, iteration: int) -> dict[str, Tensor]:
        """Weighted values of the terms of a step that are active in this iteration."""
        values = {}
        term: Any
        for name, term in self.items():
            weight = term.weight_at(iteration) if term.step == step else 0.0
            if weight:
                values[name] = weight * term(view)
        return values


def _checked(name: str, term: Any, steps: Sequence[str], networks: Sequence[str]) -> ScheduledLoss:
    kind = type(term).__name__
    if not isinstance(term, ScheduledLoss):
        raise ValueError(f'loss term {name}: {kind} is not a ScheduledLoss')
    if term.step not in steps:
        raise ValueError(
            f'loss term {name}: {kind} belongs to the {term.step} step, but this model has '
            f'{", ".join(steps)}'
        )
    if term.choices:
        if term.on is None:
            term.on = term.implied.get(name)
        if term.on not in term.choices:
            near = difflib.get_close_matches(name, term.implied, n=1)
            hint = f'; did you mean {near[0]}?' if near and name not in term.implied else ''
            raise ValueError(
                f'loss term {name}: {kind} needs on, one of {tuple(term.choices)}, but got '
                f'{term.on!r} (the names {", ".join(term.implied)} imply it){hint}'
            )
    for network in (*term.needs, *term.choices.get(term.on or '', ())):
        if network not in networks:
            raise ValueError(f'loss term {name} needs the network {network}')
    return term
