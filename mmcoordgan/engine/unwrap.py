"""Reaching the module inside a wrapper."""

from __future__ import annotations

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside a (distributed) model wrapper, or ``module`` itself."""
    inner = module.module if is_model_wrapper(module) else module
    assert isinstance(inner, nn.Module)
    return inner
