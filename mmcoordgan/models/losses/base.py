"""Loss terms: when each is active, how strong it is, what it needs; all terms of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mmcoordgan.registry import build_module


class ScheduledLoss(nn.Module):
    """A loss term of a training config. A new term is a subclass with ``forward``.

    ``forward(view)`` returns the unweighted scalar of a :class:`Stage1View` or
    :class:`Stage2View`. The training step multiplies it by :meth:`weight_at` the iteration, and
    skips the term where that is zero.

    Args:
        loss_weight: Weight at full strength.
        start: First iteration in which the term is active.
        warmup: The weight grows linearly, by ``iteration / warmup`` counted from iteration 0, up
            to full strength. 0: no warm-up.
        warmup_floor: Smallest fraction of the weight during warm-up, in [0, 1].
        interval: The term is active in iterations divisible by ``interval``, with ``interval``
            times its weight, which keeps its mean strength (lazy regularization, StyleGAN2).
        on: What the term compares, one of the class's ``choices``. Default: what the term's name
            in the config implies, see ``implied``.

    Raises:
        ValueError: If a value is out of range.
    """

    step = 'generator'
    """'discriminator', 'regularization' or 'generator' in stage 1; 'encoder' in stage 2."""
    needs: tuple[str, ...] = ()
    """Networks that the view must have, e.g. ``('perceptual',)``."""
    swaps: bool | property = False
    """Whether stage 1 should render ``view.fakes.swapped`` together with the images."""
    choices: Mapping[str, tuple[str, ...]] = {}
    """Values of ``on``, each with the networks that it needs; empty where there is no choice."""
    implied: Mapping[str, str] = {}
    """Names of terms in configs -> value of ``on``."""

    def __init__(
        self,
        loss_weight: float = 1.0,
        start: int = 0,
        warmup: int = 0,
        warmup_floor: float = 0.0,
        interval: int = 1,
        on: str | None = None,
    ):
        super().__init__()
        if start < 0 or warmup < 0 or interval < 1 or not 0 <= warmup_floor <= 1:
            raise ValueError(
                f'{type(self).__name__} needs start >= 0, warmup >= 0, interval >= 1 and '
                '0 <= warmup_floor <= 1'
            )
        self.loss_weight = loss_weight
        self.start = start
        self.warmup = warmup
        self.warmup_floor = warmup_floor
        self.interval = interval
        self.on = on

    def weight_at(self, iteration: int) -> float:
        """The weight at an iteration, counted from 0; 0.0 where the term is not active."""
        if iteration < self.start or iteration % self.interval:
            return 0.0
        ramp = 1.0
        if self.warmup:
            ramp = min(max(iteration / self.warmup, self.warmup_floor), 1.0)
        return self.loss_weight * ramp * self.interval

    def forward(self, view: Any) -> Tensor:
        raise NotImplementedError


class LossTerms(nn.ModuleDict):
    """Loss terms by the names that the log shows, each a config or module of a
    :class:`ScheduledLoss`, or None; for a training with these steps and networks.
    """

    def __init__(self, terms: dict | None, steps: Sequence[str], networks: Sequence[str]):
        super().__init__()
        for name, config in (terms or {}).items():
            if config is not None:
                self[name] = build_module(config)
                _check(name, self[name], steps, networks)

    def active(self, steps: Sequence[str], iteration: int) -> dict[str, Any]:
        """The terms of these steps that are active in this iteration."""
        terms: Any = self.items()
        return {k: t for k, t in terms if t.step in steps and t.weight_at(iteration)}

    def compute(self, step: str, view: Any, iteration: int) -> dict[str, Tensor]:
        """Weighted values of the terms of a step that are active in this iteration."""
        terms = self.active([step], iteration)
        return {name: term.weight_at(iteration) * term(view) for name, term in terms.items()}


def _check(name: str, term: Any, steps: Sequence[str], networks: Sequence[str]) -> None:
    """Complete ``term.on`` by the term's name; refuse what this training cannot compute."""
    kind = type(term).__name__
    if getattr(term, 'step', None) not in steps:
        raise ValueError(f'loss term {name}: {kind} is no loss term of {", ".join(steps)}')
    if term.choices:
        term.on = term.on or term.implied.get(name)
        if term.on not in term.choices:
            raise ValueError(
                f'loss term {name}: {kind} needs on, one of {tuple(term.choices)}, but got '
                f'{term.on!r} (the names {", ".join(term.implied)} imply it)'
            )
    for network in (*term.needs, *term.choices.get(term.on, ())):
        if network not in networks:
            raise ValueError(f'loss term {name} needs the network {network}')
