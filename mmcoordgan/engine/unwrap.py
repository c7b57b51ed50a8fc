"""Reaching the module inside a wrapper."""

from __future__ import annotations

from mmengine.model import BaseAveragedModel, is_model_wrapper
from torch import nn


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside a (distributed) wrapper or an averaged model, or ``module`` itself."""
    wrapped = is_model_wrapper(module) or isinstance(module, BaseAveragedModel)
    inner = module.module if wrapped else module
    assert isinstance(inner, nn.Module)
    return inner
