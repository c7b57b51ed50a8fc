"""The state of every random source that training draws from: Python, NumPy, torch, the GPU."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """The state of this process's random sources, in tensors and plain values.

    Of GPUs, the current one counts: that is the one that MMEngine's launchers give a process.
    """
    name, keys, *rest = np.random.get_state()
    numpy_state = (name, np.asarray(keys).tolist(), *rest)
    state = dict(python=random.getstate(), numpy=numpy_state, torch=torch.get_rng_state())
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Go on where :func:`random_state` was called; a GPU's state needs a GPU to be used."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def seeded(key: tuple[int, ...]) -> Iterator[None]:
    """Seed Python, NumPy and torch (on the CPU) from ``key``, and put their states back after.

    ``key`` holds non-negative integers; different keys give independent streams.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first, second, *words = np.random.SeedSequence(key).generate_state(6).tolist()
    random.seed(first)
    torch.default_generator.manual_seed(second)
    np.random.seed(words)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
