"""Whether a GPU takes all pairs of points in Triton, rather than search for near ones."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from importlib.util import find_spec

import torch
from torch import Tensor

from . import _near

USE_TRITON = os.environ.get('MMCOORDGAN_TRITON') != '0' and find_spec('triton') is not None
TRITON_PAIRS = 2**28
"""Up to this many pairs, those of 128 x 128 maps, taking all of them is faster on an H100."""


def in_triton(sources: Tensor, targets: Tensor) -> bool:
    """Whether to take all pairs of points (B, 2, N) and (B, 2, M), by ``_triton.py``."""
    if not USE_TRITON or _near.on_cpu(sources) or sources.dtype != torch.float32:
        return False
    few = sources.shape[2] * targets.shape[2] <= TRITON_PAIRS
    return few and _kernels_run(sources.device)


@lru_cache
def _kernels_run(device: torch.device) -> bool:
    """Try a kernel: Triton needs a C compiler and Python's headers, which may be missing."""
    try:
        from ._triton import nearest_of_all

        nearest_of_all(*torch.zeros(2, 1, 2, 1, device=device))
    except Exception as error:
        warnings.warn(
            f'Triton does not run here ({error}): a search takes the place of its kernels, which '
            'is slower. MMCOORDGAN_TRITON=0 stops this warning',
            stacklevel=2,
        )
        return False
    return True
