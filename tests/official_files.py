"""Checkpoints as the reference implementation stores them, with its deterministic weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from reference import inputs, numbers
from torch import Tensor


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def line(*taps: float) -> Tensor:
    return torch.outer(torch.tensor(taps), torch.tensor(taps))


def true_filter(network: str, shape: tuple[int, ...]) -> Tensor:
    """The constant filter in a buffer of this shape: generators upsample, the others do not."""
    if shape == (1, 1):
        return torch.ones(1, 1)
    if shape == (3, 3):
        return line(1.0, 2.0, 1.0) / 16
    assert shape == (4, 4)
    return line(1.0, 3.0, 3.0, 1.0) / (16 if network in ('g', 'g_ema') else 64)


@cache
def _network(kind: str, network: str) -> dict[str, Tensor]:
    state = {}
    for name, entry in numbers('manifest.json')[kind][network].items():
        shape = tuple(entry['shape'])
        if entry['kind'] == 'param':
            state[name] = torch.from_numpy(inputs.fill(name, shape))
        else:
            state[name] = true_filter(network, shape)
    return state


def official(kind: str, networks: Sequence[str] | None = None) -> dict[str, dict[str, Tensor]]:
    """The content of a checkpoint of ``manifest[kind]``, or some of its networks."""
    networks = networks or list(numbers('manifest.json')[kind])
    return {network: dict(_network(kind, network)) for network in networks}
