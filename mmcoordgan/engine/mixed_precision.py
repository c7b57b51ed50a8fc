"""Mixed precision on GPUs and on CPUs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from mmcoordgan.registry import OPTIM_WRAPPERS

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` that also works without a GPU.

    Each optimizer scales its losses by itself. Gradients are averaged over the processes, then
    brought back to scale, then clipped (``clip_grad``). A step whose scaled gradients overflow is
    left out and the scale is reduced, on all processes alike, because all see the average.

    Args:
        dtype: 'bfloat16', which has float32's range and needs no scaling, or 'float16'.
        loss_scale: 'dynamic', or a fixed factor, or arguments of ``torch.amp.GradScaler``; not
            used with bfloat16.
        kwargs: Of ``OptimWrapper``: ``optimizer``, ``clip_grad``.

    Raises:
        ValueError: ``dtype`` is another one, or the device cannot train in it.
    """

    def __init__(
        self,
        dtype: str = 'bfloat16',
        loss_scale: str | float | dict = 'dynamic',
        **kwargs: Any,
    ) -> None:
        if dtype not in DTYPES:
            raise ValueError(f'dtype must be one of {list(DTYPES)}, but got {dtype!r}')
        OptimWrapper.__init__(self, **kwargs)  # that of AmpOptimWrapper insists on a GPU
        self.cast_dtype = DTYPES[dtype]
        self.device_type = torch.device(get_device()).type
        self._scale_update_param = None
        settings: dict[str, Any] = {}
        if isinstance(loss_scale, dict):
            settings = dict(loss_scale)
        elif loss_scale != 'dynamic':
            self._scale_update_param = float(loss_scale)
            settings = {'init_scale': float(loss_scale)}
        self.loss_scaler = _scaler(self.device_type, dtype == 'float16', settings)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, and the scale where both sides have one."""
        state_dict = dict(state_dict)
        if not (state_dict.get('loss_scaler') and self.loss_scaler.is_enabled()):
            state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, within what ``OptimWrapper`` does."""
        with (
            OptimWrapper.optim_context(self, model),
            torch.autocast(self.device_type, dtype=self.cast_dtype),
        ):
            yield


def _scaler(device: str, enabled: bool, settings: dict) -> Any:
    """PyTorch's gradient scaler for a device."""
    kind = getattr(torch.amp, 'GradScaler', None)  # since 2.3
    if kind is not None and 'device' in inspect.signature(kind).parameters:
        return kind(device, enabled=enabled, **settings)
    if enabled and device != 'cuda':
        raise ValueError(
            f"dtype='float16' on the device {device} needs PyTorch 2.3 or newer, and this is "
            f"{torch.__version__}: use dtype='bfloat16'"
        )
    return torch.cuda.amp.GradScaler(enabled=enabled, **settings)
