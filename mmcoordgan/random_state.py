"""The state of every random source that training draws from: Python, NumPy, torch, the GPU."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def random_state() -> dict[str, Tensor]:
    """The state of this process's random sources, as tensors of fixed shapes.

    Of GPUs, the current one counts: that is the one that MMEngine's launchers give a process.
    """
    version, words, gauss = random.getstate()
    _, keys, place, has_gauss, cached = np.random.get_state()
    state = {
        'python': torch.tensor([version, *words], dtype=torch.int64),
        'python_gauss': torch.tensor([gauss is not None, gauss or 0], dtype=torch.float64),
        'numpy': torch.tensor([*np.asarray(keys).tolist(), place, has_gauss], dtype=torch.int64),
        'numpy_gauss': torch.tensor([cached], dtype=torch.float64),
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Tensor]) -> None:
    """Go on where :func:`random_state` was called; a GPU's state needs a GPU to be used."""
    version, *words = state['python'].tolist()
    has_gauss, gauss = state['python_gauss'].tolist()
    random.setstate((version, tuple(words), gauss if has_gauss else None))
    *keys, place, has_gauss = state['numpy'].tolist()
    cached = float(state['numpy_gauss'])
    np.random.set_state(('MT19937', np.array(keys, np.uint32), place, has_gauss, cached))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def seeded(key: tuple[int, ...]) -> Iterator[None]:
    """Seed Python, NumPy and torch (on the CPU) from ``key``, and put their states back after.

    Args:
        key: Non-negative integers; different keys give independent streams.
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
